// Which program this is.
#pragma once

namespace fourge::bench {

/// Of the sources, twelve digits; "-dirty" after it when they had changes, "unknown" outside git.
const char* build_commit();
/// "GNU 12.2.0"
const char* build_compiler();

}  // namespace fourge::bench
