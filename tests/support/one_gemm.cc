// The smallest program that generates a kernel and runs it: one_gemm [RUNS]. Prints the kernel's name, how
// many bytes of code it has (0: compiled), and the process.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "fourge/gemm.h"
#include "fourge/quantize.h"

namespace {

int fail(const fourge::Failure& failure) {
  std::fprintf(stderr, "one_gemm: %s\n", failure.message().c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace fourge;
  const int runs = argc > 1 ? std::atoi(argv[1]) : 1;
  constexpr std::int64_t kN = 64, kK = 64;
  std::vector<float> values(kN * kK), d(kN);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 13) - 6.0f;
  const auto weights = quantize(values, kN, kK, {.format = Format::nvfp4});
  if (!weights) return fail(weights.failure());
  const auto row = quantize(std::span<const float>(values).first(kK), 1, kK, {.format = Format::nvfp4});
  if (!row) return fail(row.failure());
  const auto gemm = Gemm::create({.m = 1, .n = kN, .k = kK, .format = Format::nvfp4});
  if (!gemm) return fail(gemm.failure());
  const auto packed = gemm->pack(weights->view());
  if (!packed) return fail(packed.failure());
  const KernelCode code = gemm->code();
  std::printf("%s %zu %d\n", code.name.c_str(), code.bytes.size(), static_cast<int>(getpid()));
  std::fflush(stdout);
  for (int i = 0; i < runs; ++i) {
    if (const Status done = gemm->run(row->view(), *packed, {.d = d.data()}, {.threads = 1}); !done)
      return fail(done.failure());
  }
  return 0;
}
