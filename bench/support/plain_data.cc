#include "bench/support/plain_data.h"

#include <algorithm>
#include <cstring>

#include "bench/support/gemm_data.h"
#include "jit/element_io.h"

namespace fourge::bench {

void fill_activations(ElementFormat format, std::int64_t count, std::uint8_t* to) {
  constexpr std::int64_t kRows = 256, kCols = 1024;
  static const Values values = random_activations(kRows, kCols, 2);
  const std::int64_t bytes = jit::plain_bytes(format);
  for (std::int64_t done = 0; done < count; done += kRows * kCols) {
    const std::int64_t part = std::min(kRows * kCols, count - done);
    jit::store_elements(format, values.data.data(), part, to + done * bytes);
  }
}

}  // namespace fourge::bench
