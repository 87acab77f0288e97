#pragma once

#include "bench/support/peers.h"

namespace fourge::bench {

PeerResult make_libxsmm_bf16(const Values& x, const Values& w, int threads);

}  // namespace fourge::bench
