#include "bench/support/build_facts.h"

#include <fourge_commit.h>  // written by the build

namespace fourge::bench {

const char* build_commit() { return FOURGE_COMMIT; }
const char* build_compiler() { return FOURGE_COMPILER; }

}  // namespace fourge::bench
