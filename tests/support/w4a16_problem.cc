#include "tests/support/w4a16_problem.h"

#include <gtest/gtest.h>

#include "jit/gemm/gemm_kernel.h"
#include "reference/w4a16.h"

namespace fourge::tests {
namespace {

using Rng = std::mt19937_64;

std::uint32_t random_activation(Values values, Rng& rng) {
  const auto bits = static_cast<std::uint32_t>(rng());
  if (values == Values::special && rng() % 8 == 0) {
    const std::uint32_t specials[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc10000, 0,
                                      0x80000000, 0x00010000, 0x807f0000, 0x7f7f0000};
    return specials[rng() % std::size(specials)];
  }
  if (values != Values::normal) {  // |a| up to 2^119, down to subnormals
    const auto exponent = static_cast<std::uint32_t>(rng() % (127 + 119));
    return (bits & 0x807f'ffff) | exponent << 23;
  }
  std::normal_distribution<float> normal(0.0f, 1.0f);
  return std::bit_cast<std::uint32_t>(normal(rng));
}

}  // namespace

W4a16Problem make_w4a16(GemmSpec spec, DataKind kind, Values values, Rng& rng) {
  spec.numerics = Numerics::fast;
  if (spec.activations == Activations::same)
    spec.activations = rng() % 2 == 0 ? Activations::bf16 : Activations::f32;
  W4a16Problem problem{make_problem(spec, kind, rng), {}, spec.k + static_cast<std::int64_t>(rng() % 3)};
  const std::size_t width = spec.activations == Activations::bf16 ? 2 : 4;
  problem.a.resize(static_cast<std::size_t>(spec.m * problem.stride) * width);
  for (std::size_t i = 0; i < problem.a.size(); i += width) {
    const std::uint32_t bits = random_activation(values, rng);
    std::memcpy(problem.a.data() + i, reinterpret_cast<const std::uint8_t*>(&bits) + 4 - width, width);
  }
  return problem;
}

std::vector<std::uint8_t> output_of(const GemmSpec& spec) {
  return std::vector<std::uint8_t>(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)), 0xcd);
}

std::vector<std::uint8_t> reference_answer(const W4a16Problem& problem) {
  std::vector<std::uint8_t> d = output_of(problem.spec());
  const Status status = reference::gemm_w4a16(problem.spec(), problem.view(), problem.base.b.view(),
                                              problem.base.operands(d.data()));
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.failure().message());
  return d;
}

std::vector<std::uint8_t> answer(const jit::GemmKernel& kernel, const W4a16Problem& problem, int threads) {
  const GemmSpec& spec = problem.spec();
  std::vector<std::uint8_t> packed(static_cast<std::size_t>(kernel.packed_bytes(spec.n, spec.k)));
  kernel.pack(problem.base.b.view(), packed.data());
  std::vector<std::uint8_t> d = output_of(spec);
  const Status status =
      kernel.run_plain(spec, problem.view(), packed.data(), problem.base.operands(d.data()), threads);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.failure().message());
  return d;
}

W4a16Problem random_w4a16(int i, std::int64_t largest, Rng& rng) {
  const Values values[] = {Values::normal, Values::wide, Values::special};
  return make_w4a16(random_spec(rng, largest),
                    kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], values[rng() % 3], rng);
}

}  // namespace fourge::tests
