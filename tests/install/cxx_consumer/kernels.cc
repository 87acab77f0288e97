// fourge::jit alone: a rotation and its inverse.
#include <fourge/hadamard.h>

#include <cmath>
#include <cstdio>

int main() {
  float x[24], y[24];
  for (int i = 0; i < 24; ++i) x[i] = y[i] = static_cast<float>(i * i % 11);
  const auto rotation = fourge::Hadamard::create({.order = 8});
  if (!rotation.ok()) return 1;
  const fourge::HadamardOperands in_place{
      .x = y, .y = y, .rows = 1, .cols = 24, .scale = fourge::orthonormal_scale(8)};
  for (int i = 0; i < 2; ++i) {
    if (!rotation->run(in_place).ok()) return 1;
  }
  for (int i = 0; i < 24; ++i) {
    if (std::fabs(x[i] - y[i]) > 1e-5f) return 1;
  }
  std::printf("%s\n", rotation->code().name.c_str());
  return 0;
}
