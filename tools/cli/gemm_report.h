// What `fourge gemm` and `fourge demo` say of a product that was measured.
#pragma once

#include <string>
#include <vector>

#include "bench/support/gemm_run.h"
#include "tools/cli/context.h"

namespace fourge::cli {

/// One object; docs/cli.md lists its keys.
Json to_json(const bench::GemmReport& report);

/// A few lines for a person.
void print_report(const bench::GemmReport& report, const Context& context);

/// "NAME: the first of 3 registered kernels, best first, that fits here; passed over: avx2 (why), ..."
std::string choice_line(const bench::GemmReport& report);

/// "1.23 ms"
std::string time_text(double seconds);

/// A name of the registry for this spec: a kernel's whole name, or its part after "__". kBadArgument lists
/// them.
Result<std::string> find_kernel(const GemmSpec& spec, const std::string& text);

}  // namespace fourge::cli
