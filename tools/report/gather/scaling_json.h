// The sweeps of bench/scaling as a document.
#pragma once

#include "bench/scaling/scaling.h"
#include "tools/report/html.h"

namespace fourge::report {

/// docs/cli.md, "scaling".
Json to_json(const bench::Scaling& scaling);

}  // namespace fourge::report
