// Seeds of random data.
#pragma once

#include <cstdint>

namespace fourge::bench {

/// The output function of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): neighbouring seeds give unrelated
/// generators.
constexpr std::uint64_t splitmix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

}  // namespace fourge::bench
