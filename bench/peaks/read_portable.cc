#include <array>
#include <cstring>

#include "bench/peaks/loops.h"

namespace fourge::bench {

void read_portable(const LoopArgs* args) {
  std::array<std::uint64_t, 32> sums{};
  for (std::int64_t at = 0; at < args->bytes; at += static_cast<std::int64_t>(sizeof sums)) {
    std::array<std::uint64_t, 32> words;
    std::memcpy(words.data(), args->source + at, sizeof words);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] |= words[i];
  }
  std::uint64_t any = 0;
  for (const std::uint64_t sum : sums) any |= sum;
  __asm__ volatile("" : : "r"(any));
}

}  // namespace fourge::bench
