// Hot loops compiled for several x86 levels in one binary. Without contraction (-ffp-contract=off) all of
// them round alike, so the results do not depend on the level.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FOURGE_CLONES __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
#else
#define FOURGE_CLONES
#endif
