// Random values of known distributions, the same for every thread count.
#pragma once

#include <cstdint>
#include <vector>

namespace fourge::study {

/// Each with its textbook scale: unit variance, density exp(-|x|) / 2, Student's t.
enum class Distribution : std::uint8_t { normal, laplace, student_t5, student_t3 };
inline constexpr Distribution kDistributions[] = {Distribution::normal, Distribution::laplace,
                                                  Distribution::student_t5, Distribution::student_t3};
constexpr const char* name_of(Distribution distribution) {
  constexpr const char* kNames[] = {"normal", "laplace", "student-t5", "student-t3"};
  return kNames[static_cast<int>(distribution)];
}

/// rows * cols independent values; row r depends on (distribution, seed, r) alone.
std::vector<float> draw(Distribution distribution, std::int64_t rows, std::int64_t cols, std::uint64_t seed);

}  // namespace fourge::study
