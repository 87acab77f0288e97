#include "tests/support/gemm_problem.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "fourge/rounding.h"
#include "reference/gemm.h"

namespace fourge::tests {
namespace {

using Rng = std::mt19937_64;

bool one_in(Rng& rng, unsigned n) { return rng() % n == 0; }
int between(Rng& rng, int low, int high) {
  return low + static_cast<int>(rng() % static_cast<unsigned>(high - low + 1));
}

std::uint8_t unit_scale(Format format) { return info(format).scale == ElementFormat::ue4m3 ? 0x38 : 127; }
std::uint8_t largest_scale(Format format) { return info(format).scale == ElementFormat::ue4m3 ? 0x7e : 0xfe; }
std::uint8_t nan_scale(Format format) { return info(format).scale == ElementFormat::ue4m3 ? 0x7f : 0xff; }

std::uint8_t random_scale(Format format, DataKind kind, Rng& rng) {
  const bool ue4m3 = info(format).scale == ElementFormat::ue4m3;
  switch (kind) {
    case DataKind::random_bits:
      return ue4m3 ? static_cast<std::uint8_t>((rng() % 0x7f) | (one_in(rng, 8) ? 0x80 : 0))
                   : static_cast<std::uint8_t>(rng() % 255);
    case DataKind::extreme_scales: {
      const std::uint8_t ends_ue4m3[] = {0, 1, 7, 8, 0x38, 0x70, 0x7d, 0x7e};
      const std::uint8_t ends_ue8m0[] = {0, 1, 2, 126, 127, 128, 253, 254};
      return (ue4m3 ? ends_ue4m3 : ends_ue8m0)[rng() % 8];
    }
    case DataKind::wide_spread:
      return ue4m3
                 ? static_cast<std::uint8_t>(one_in(rng, 2) ? between(rng, 1, 16) : between(rng, 0x60, 0x7e))
                 : static_cast<std::uint8_t>(127 + between(rng, -24, 24));
    case DataKind::subnormal:
      return static_cast<std::uint8_t>(ue4m3 ? between(rng, 0, 15) : 127 - between(rng, 68, 86));
    case DataKind::largest:
      return largest_scale(format);
    case DataKind::nan_scales:
      if (one_in(rng, 64)) return ue4m3 && one_in(rng, 2) ? std::uint8_t{0xff} : nan_scale(format);
      [[fallthrough]];
    default:
      return static_cast<std::uint8_t>(unit_scale(format) + between(rng, ue4m3 ? -16 : -2, ue4m3 ? 16 : 2));
  }
}

unsigned gaussian_code(Rng& rng) {
  std::normal_distribution<float> normal(0.0f, 2.0f);
  return encode(ElementFormat::e2m1, normal(rng));
}

QuantizedMatrix random_matrix(Format format, DataKind kind, std::int64_t rows, std::int64_t cols, Rng& rng) {
  QuantizedMatrix matrix;
  matrix.format = format;
  matrix.rows = rows;
  matrix.cols = cols;
  const int block = info(format).block;
  matrix.codes.resize(static_cast<std::size_t>(rows * cols / 2));
  matrix.scales.resize(static_cast<std::size_t>(rows * cols / block));
  for (std::uint8_t& byte : matrix.codes) {
    byte = static_cast<std::uint8_t>(rng());
    if (kind == DataKind::gaussian || kind == DataKind::c_range) {
      byte = static_cast<std::uint8_t>(gaussian_code(rng) | gaussian_code(rng) << 4);
    }
    if (kind == DataKind::largest) byte = static_cast<std::uint8_t>(0x77 | (rng() & 0x88));
    if (kind == DataKind::cancelling && one_in(rng, 2)) byte = 0;
    if (kind == DataKind::subnormal && format != Format::nvfp4)
      byte = one_in(rng, 3) ? byte & 0x99 : std::uint8_t{0};
  }
  for (std::uint8_t& scale : matrix.scales) scale = random_scale(format, kind, rng);
  const std::int64_t bytes_per_block = block / 2;
  for (std::size_t i = 0; i < matrix.scales.size(); ++i) {
    if (kind != DataKind::zero_blocks || !one_in(rng, 2)) continue;
    std::memset(matrix.codes.data() + static_cast<std::int64_t>(i) * bytes_per_block, 0,
                static_cast<std::size_t>(bytes_per_block));
    if (one_in(rng, 2)) matrix.scales[i] = one_in(rng, 2) ? largest_scale(format) : std::uint8_t{0};
  }
  for (std::int64_t r = 0; kind == DataKind::zero_rows && r < rows; ++r) {
    if (one_in(rng, 3)) continue;
    std::memset(matrix.codes.data() + r * cols / 2, 0, static_cast<std::size_t>(cols / 2));
    if (one_in(rng, 2))
      std::memset(matrix.scales.data() + r * cols / block, 0, static_cast<std::size_t>(cols / block));
  }
  // The second half of a row is the first half negated: sums cancel and leave c small.
  for (std::int64_t r = 0; kind == DataKind::cancelling && r < rows; ++r) {
    const std::int64_t half = cols / 2 / block * block;
    for (std::int64_t i = 0; i < half / 2 && cols >= 2 * half; ++i) {
      matrix.codes[static_cast<std::size_t>((r * cols + half) / 2 + i)] = static_cast<std::uint8_t>(
          matrix.codes[static_cast<std::size_t>(r * cols / 2 + i)] ^ (rows % 2 == 0 ? 0x88 : 0));
    }
    for (std::int64_t i = 0; i < half / block && cols >= 2 * half; ++i) {
      matrix.scales[static_cast<std::size_t>((r * cols + half) / block + i)] =
          matrix.scales[static_cast<std::size_t>(r * cols / block + i)];
    }
  }
  return matrix;
}

float random_float(DataKind kind, Rng& rng) {
  std::normal_distribution<float> normal(0.0f, 1.0f);
  if (kind == DataKind::special_c && one_in(rng, 2)) {
    const std::uint32_t specials[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc01234, 0x7f800001,
                                      0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x00800000,
                                      0x7f7fffff, 0xff7fffff, 0x3f800001};
    return std::bit_cast<float>(specials[rng() % std::size(specials)]);
  }
  if (kind == DataKind::random_bits || kind == DataKind::extreme_scales || kind == DataKind::special_c) {
    const auto bits = static_cast<std::uint32_t>(rng());
    return (bits & 0x7f800000) == 0x7f800000 ? 1.0f : std::bit_cast<float>(bits);
  }
  if (kind == DataKind::subnormal) {
    if (one_in(rng, 2)) return std::ldexp(normal(rng), between(rng, -45, -10));
    return std::bit_cast<float>(static_cast<std::uint32_t>(rng() & 0x807f'ffff) >>
                                (one_in(rng, 2) ? 0 : between(rng, 0, 22)));
  }
  return normal(rng) * 32.0f;
}

}  // namespace

const char* name_of(DataKind kind) {
  constexpr const char* kNames[] = {"gaussian",    "random_bits", "cancelling", "extreme_scales",
                                    "wide_spread", "zero_blocks", "zero_rows",  "nan_scales",
                                    "special_c",   "largest",     "c_range",    "subnormal"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string GemmProblem::describe() const {
  std::string text = std::string(name_of(spec.format)) + " " + name_of(kind) + " " + std::to_string(spec.m) +
                     "x" + std::to_string(spec.n) + "x" + std::to_string(spec.k) + " -> " +
                     name_of(spec.output);
  if (spec.bias) text += " bias";
  if (spec.accumulate) text += " accumulate";
  return text + " layouts " + fourge::name_of(a.layout) + "/" + fourge::name_of(b.layout);
}

GemmOperands GemmProblem::operands(void* d) const {
  GemmOperands o;
  o.c = spec.accumulate ? c.data() : nullptr;
  o.bias = spec.bias ? bias.data() : nullptr;
  o.alpha = alpha;
  o.d = d;
  return o;
}

GemmProblem make_problem(const GemmSpec& spec, DataKind kind, Rng& rng) {
  GemmProblem problem;
  problem.spec = spec;
  problem.kind = kind;
  for (const bool is_a : {true, false}) {
    QuantizedMatrix matrix = random_matrix(spec.format, kind, is_a ? spec.m : spec.n, spec.k, rng);
    const ScaleLayout layouts[] = {ScaleLayout::linear, ScaleLayout::swizzled_128x4,
                                   ScaleLayout::swizzled_8x4};
    matrix.layout = layouts[rng() % 3];
    std::vector<std::uint8_t> scales(
        static_cast<std::size_t>(scale_bytes(matrix.layout, matrix.rows, matrix.scale_cols())));
    convert_scales(ScaleLayout::linear, matrix.scales.data(), matrix.layout, scales.data(), matrix.rows,
                   matrix.scale_cols());
    matrix.scales = std::move(scales);
    (is_a ? problem.a : problem.b) = std::move(matrix);
  }
  if (spec.accumulate) {
    problem.c.resize(static_cast<std::size_t>(spec.m * spec.n));
    for (float& x : problem.c) x = random_float(kind, rng);
    // One magnitude a row, so that whole vectors lie on one side of a bound.
    for (std::int64_t row = 0; kind == DataKind::c_range && row < spec.m; ++row) {
      const int exponent = between(rng, -32, 62);
      for (std::int64_t i = row * spec.n; i < (row + 1) * spec.n; ++i) {
        float& x = problem.c[static_cast<std::size_t>(i)];
        x = std::ldexp(x, exponent - 5 + between(rng, -1, 1));
      }
    }
  }
  if (spec.bias) {
    problem.bias.resize(static_cast<std::size_t>(spec.n));
    for (float& x : problem.bias) x = random_float(kind, rng);
  }
  const float alphas[] = {1.0f, 0.37f, -2.5f, 0x1p-140f, 3e30f};
  problem.alpha = alphas[one_in(rng, 2) ? 0 : rng() % std::size(alphas)];
  return problem;
}

GemmSpec random_spec(Rng& rng, std::int64_t largest) {
  GemmSpec spec;
  const auto size = [&] {
    return one_in(rng, 4) ? 1 : 1 + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(largest));
  };
  spec.format = kFormats[rng() % std::size(kFormats)];
  spec.m = size();
  spec.n = size();
  spec.k = info(spec.format).block * between(rng, 1, 4 * 64 / info(spec.format).block);
  spec.output = static_cast<OutputType>(rng() % 3);
  spec.bias = one_in(rng, 3);
  spec.accumulate = one_in(rng, 2);
  return spec;
}

std::vector<std::uint8_t> reference_answer(const GemmProblem& problem) {
  const GemmSpec& spec = problem.spec;
  std::vector<std::uint8_t> d(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)));
  const Status status = reference::gemm(spec, problem.a.view(), problem.b.view(), problem.operands(d.data()));
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.failure().message());
  return d;
}

std::vector<std::uint8_t> answer(const jit::GemmKernel& kernel, const GemmProblem& problem, int threads,
                                 RunStats* stats) {
  const GemmSpec& spec = problem.spec;
  std::vector<std::uint8_t> packed(static_cast<std::size_t>(kernel.packed_bytes(spec.n, spec.k)));
  kernel.pack(problem.b.view(), packed.data());
  std::vector<std::uint8_t> d(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)), 0xcd);
  RunStats local;
  const Status status = kernel.run(spec, problem.a.view(), packed.data(), problem.operands(d.data()), threads,
                                   stats != nullptr ? *stats : local);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.failure().message());
  return d;
}

std::vector<std::uint8_t> answer(const Gemm& gemm, const GemmProblem& problem, int threads, RunStats* stats) {
  const GemmSpec& spec = problem.spec;
  const auto packed = gemm.pack(problem.b.view());
  EXPECT_TRUE(packed.ok());
  if (!packed.ok()) return {};
  std::vector<std::uint8_t> d(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)), 0xcd);
  const Status status =
      gemm.run(problem.a.view(), *packed, problem.operands(d.data()), {.threads = threads}, stats);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.failure().message());
  return d;
}

std::string first_difference(const GemmProblem& problem, const std::vector<std::uint8_t>& want,
                             const std::vector<std::uint8_t>& got) {
  if (want == got) return {};
  if (want.size() != got.size()) return "sizes differ";
  const auto width = static_cast<std::size_t>(bytes_of(problem.spec.output));
  for (std::size_t i = 0; i < want.size() / width; ++i) {
    std::uint32_t w = 0, g = 0;
    std::memcpy(&w, want.data() + i * width, width);
    std::memcpy(&g, got.data() + i * width, width);
    if (w == g) continue;
    char text[160];
    std::snprintf(text, sizeof text, "D[%zu, %zu]: want %08x, got %08x",
                  i / static_cast<std::size_t>(problem.spec.n), i % static_cast<std::size_t>(problem.spec.n),
                  w, g);
    return problem.describe() + ": " + text;
  }
  return "no difference";
}

}  // namespace fourge::tests
