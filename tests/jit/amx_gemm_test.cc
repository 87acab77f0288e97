// The AMX kernels from the inside: every condition of theorems 2 and 3 (docs/certificates.md) driven to its
// edge from both sides, the bounds that they rest on, and the tiers of a whole product.
#if defined(__x86_64__)

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "jit/cpu.h"
#include "jit/gemm/amx_gemm.h"
#include "jit/gemm/amx_operands.h"
#include "jit/x86/amx_block.h"
#include "jit/x86/amx_prepare.h"
#include "jit/x86/amx_steps.h"
#include "tests/support/abi_check.h"
#include "tests/support/amx_emulator.h"
#include "tests/support/gemm_problem.h"

namespace fourge::tests {
namespace {

using namespace jit;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kTile = static_cast<std::size_t>(kTileBytes) / 2;  // bf16 numbers

class AmxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!enable_amx_or_emulate()) GTEST_SKIP() << "neither AMX nor its emulation works here";
    const CpuFeatures& host = host_features();
    if (!host.avx512f || !host.avx512dq || !host.avx512_fp16) GTEST_SKIP() << "needs AVX-512 with FP16";
  }
};

std::uint16_t bf16_of(float x) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16); }

// a + b rounded toward zero. What the double sum loses decides where that sum is an f32.
float add_toward_zero(float a, float b) {
  const double x = a, y = b, sum = x + y, of_y = sum - x, lost = (x - (sum - of_y)) + (y - of_y);
  const auto nearest = static_cast<float>(sum);
  const double over = std::fabs(static_cast<double>(nearest)) - std::fabs(sum);
  const bool above = over > 0 || (over == 0 && lost != 0 && std::signbit(lost) != std::signbit(sum));
  return above ? std::nextafter(nearest, 0.0f) : nearest;
}
float below(float x) { return std::nextafter(x, -kInfinity); }

// ---- theorem 3 ----

// 16 rows x 16 columns; every step adds x[row] * y[column].
struct StepsProblem {
  alignas(64) std::array<std::uint16_t, 16 * kTile> a{}, b{};
  alignas(64) std::array<float, 256> acc{};
  std::array<float, kRowBounds * 16> bounds{};
  std::array<std::uint16_t, 2> refused{};
  std::array<float, 16> x{}, y{};
  std::uint8_t pending = 1;
  AmxStepsArgs args{};

  float& bound(int which, int row) { return bounds[static_cast<std::size_t>(which * 16 + row)]; }
  float& c(int row, int column) { return acc[static_cast<std::size_t>(row * 16 + column)]; }

  void finish(std::int64_t steps) {
    for (std::size_t s = 0; s < static_cast<std::size_t>(steps); ++s) {
      for (std::size_t i = 0; i < 16; ++i) {
        a[2 * s * kTile + 32 * i] = bf16_of(x[i]);
        b[4 * s * kTile + 2 * i] = bf16_of(y[i]);
      }
    }
    args.a = reinterpret_cast<const std::uint8_t*>(a.data());
    args.b = reinterpret_cast<const std::uint8_t*>(b.data());
    args.acc = acc.data();
    args.row_tiles = args.panels = 1;
    args.steps = steps;
    args.pending = &pending;
    args.bounds = bounds.data();
    args.bound_stride = 64;
    args.refused = refused.data();
  }
};

class AmxSteps : public AmxTest {
 protected:
  // Theorem 3 for one row, and its accumulators after the segment.
  static bool certified(StepsProblem& p, int row, int last_place, std::array<float, 16>& after) {
    const AmxStepsArgs& args = p.args;
    const double m = p.bound(3, row) + args.b_emax[0], emin = p.bound(4, row) + args.b_emin[0];
    bool holds =
        static_cast<double>(p.bound(2, row)) * args.b_reach[0] < 0x1p24 && m <= emin + 35 - last_place;
    const float norms = p.bound(0, row) * args.b_norm[0];
    const auto limit = static_cast<float>(std::min(std::exp2(emin + 36 - last_place), 0x1p126));
    const double upper = add_toward_zero(limit, -norms), lower = std::exp2(m - 12);
    for (int column = 0; column < 16; ++column) {
      float c = args.first != 0 ? 0.0f : p.c(row, column);
      bool lane = args.first != 0 || std::fabs(c) < upper;
      if (args.first == 0) lane = lane && std::fabs(c) >= lower;
      for (std::int64_t s = 0; s < args.steps; ++s) {
        const float x = p.x[static_cast<std::size_t>(row)] * p.y[static_cast<std::size_t>(column)] + 0.0f;
        c = add_toward_zero(c, x);
        lane = lane && std::fabs(c) >= lower;
      }
      after[static_cast<std::size_t>(column)] = c;
      holds = holds && (lane || (args.dead[0] >> column & 1) != 0);
    }
    return holds;
  }

  void expect_as_theorem(StepsProblem& p, const ExecutableCode& code, int last_place) {
    std::array<std::array<float, 16>, 16> want{};
    unsigned refused = 0;
    for (int row = 0; row < 16; ++row) {
      auto& after = want[static_cast<std::size_t>(row)];
      if (certified(p, row, last_place, after)) {
        ++accepted_;
      } else {
        ++refused_;
        refused |= 1u << row;
        std::copy_n(&p.c(row, 0), 16, after.begin());
      }
    }
    const auto function = reinterpret_cast<void (*)(void*)>(code.entry<AmxStepsFunction>());
    EXPECT_EQ(abi_violations(function, &p.args, 0x9fc0), "");
    ASSERT_EQ(p.refused[0], refused);
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 16; ++column) {
        if ((p.args.dead[0] >> column & 1) != 0 && (refused >> row & 1) == 0) continue;
        const float got = p.c(row, column),
                    expected = want[static_cast<std::size_t>(row)][static_cast<std::size_t>(column)];
        ASSERT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(expected))
            << row << ", " << column;
      }
    }
  }

  int accepted_ = 0, refused_ = 0;
};

TEST_F(AmxSteps, RowsAreCertifiedExactlyWhereTheoremThreeHolds) {
  std::mt19937 rng(31);
  const auto pick = [&](auto... values) {
    const std::array<float, sizeof...(values)> all{values...};
    return all[rng() % all.size()];
  };
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    const int last_place = format == Format::nvfp4 ? 8 : 2;
    AmxStepsGenerator generator(format, /*poison=*/true);
    const Result<ExecutableCode> code = generator.assemble("amx_steps_test");
    ASSERT_TRUE(code.ok());
    for (int trial = 0; trial < 400; ++trial) {
      StepsProblem p;
      p.args.first = trial % 5 == 0 ? 1 : 0;
      p.args.dead[0] = trial % 7 == 0 ? 0xf000 : 0;
      p.args.b_norm[0] = 8.0f, p.args.b_reach[0] = 1024.0f, p.args.b_emax[0] = 3.0f, p.args.b_emin[0] = -2.0f;
      for (float& y : p.y) y = pick(1.0f, -1.0f, 0.5f, 2.0f);
      for (int row = 0; row < 16; ++row) {
        const int emin = static_cast<int>(pick(-3.0f, 0.0f, 2.0f));
        const int widest = 35 - last_place + emin - 5;  // of emax: M = emin_A + emin_B + 35 - last place
        p.bound(0, row) = pick(4.0f, 16.0f);
        p.bound(2, row) = pick(100.0f, below(16384.0f), 16384.0f, kInfinity);
        p.bound(3, row) = pick(static_cast<float>(emin), 4.0f, static_cast<float>(widest),
                               static_cast<float>(widest + 1), -kInfinity);
        p.bound(4, row) = static_cast<float>(emin);
        if (rng() % 2 == 0) p.bound(2, row) = 100.0f, p.bound(3, row) = static_cast<float>(emin);
        p.x[static_cast<std::size_t>(row)] = pick(1.0f, -0.25f, 0.0f, 16.0f, 1.5f);
        const float lower = std::exp2(p.bound(3, row) + 3 - 12);
        const float upper = std::exp2(static_cast<float>(emin - 2 + 36 - last_place)) - p.bound(0, row) * 8;
        const float middle = std::exp2(static_cast<float>(emin + 8));
        for (int column = 0; column < 16; ++column) {
          const float edge = pick(middle, middle, middle, middle, lower, below(lower), upper, below(upper),
                                  0.0f, kInfinity, std::numeric_limits<float>::quiet_NaN());
          const bool quiet = rng() % 4 != 0;  // most rows have at most one lane at an edge
          p.c(row, column) = (quiet ? middle * 1.25f : edge) * pick(1.0f, -1.0f);
        }
        if (rng() % 3 == 0)
          p.c(row, static_cast<int>(rng() % 16)) = pick(lower, below(lower), upper, below(upper));
      }
      p.finish(1 + trial % 4);
      expect_as_theorem(p, *code, last_place);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(accepted_, 2000);
  EXPECT_GT(refused_, 2000);
}

// ---- theorem 2 ----

TEST_F(AmxTest, BlocksAreCertifiedExactlyBelowTheThreshold) {
  AmxBlockGenerator generator(/*certified=*/true, /*poison=*/true);
  const Result<ExecutableCode> code = generator.assemble("amx_block_test");
  ASSERT_TRUE(code.ok());
  alignas(64) static std::array<std::uint16_t, 4 * kTile> a{}, b{};
  alignas(64) std::array<float, 2 * 32 * 16> acc{};
  std::array<std::array<float, kRowBounds * 32>, kRunSegments> bounds{};
  std::uint8_t pending = 0;
  constexpr std::array<float, kRunSegments> kNorms{3, 2, 1, 1.5f}, kNormsOfB{5, 7, 2, 4};
  a[0] = b[0] = bf16_of(1.0f);
  AmxBlockArgs args{};
  args.a = reinterpret_cast<const std::uint8_t*>(a.data()), args.a_stride = 2 * kTileBytes;
  args.b = reinterpret_cast<const std::uint8_t*>(b.data());
  args.acc = acc.data(), args.acc_stride = 32 * 64;
  args.row_tiles = 2, args.half_steps = 1;
  for (std::size_t s = 0; s < kRunSegments; ++s) args.bounds[s] = bounds[s].data();
  args.bound_stride = 32 * 4;
  args.pending = &pending;
  args.upcoming[0] = args.upcoming[1] = args.upcoming_acc = args.upcoming_d = args.a;
  std::mt19937 rng(32);
  for (int trial = 0; trial < 400; ++trial) {
    for (std::size_t s = 0; s < kRunSegments; ++s) {
      std::fill_n(bounds[s].begin(), 32, kNorms[s]);
      std::fill_n(bounds[s].begin() + 32, 32, std::ldexp(1.0f, s == 2 ? -5 : -4));  // units
      for (const int side : {0, 1}) args.b_norm[s][side] = kNormsOfB[s];
    }
    args.b_unit[0] = args.b_unit[1] = std::ldexp(1.0f, -3);
    const auto lane = static_cast<std::size_t>(rng() % acc.size()), row = lane / 16 % 32,
               segment = rng() % kRunSegments;
    const std::size_t panel = lane / 512;
    acc.fill(-1024.0f);
    pending = 1;
    bool certified = true;
    const float threshold = 65536.0f - 15.0f - 14.0f - 2.0f - 6.0f;  // 2^24 2^-5 2^-3 - sum of norms
    switch (trial % 6) {
      case 0:  // the accumulator on both sides
        certified = trial % 2 == 0;
        acc[lane] = certified ? below(threshold) : threshold;
        if (trial % 3 == 0) acc[lane] = -acc[lane];
        break;
      case 1:  // norms that leave nothing, or just less
        certified = trial % 2 == 0;
        bounds[segment][row] = 65536.0f / kNormsOfB[segment] * (certified ? 0.5f : 1.0f);
        break;
      case 2:  // a row or a panel that is never certified
        certified = false;
        (trial % 4 < 2 ? bounds[segment][32 + row] : args.b_unit[panel]) = 0.0f;
        break;
      case 3:
        certified = false;
        acc[lane] = trial % 2 == 0 ? kInfinity : std::numeric_limits<float>::quiet_NaN();
        break;
      case 4:  // done already
        pending = 0;
        break;
      default:
        break;
    }
    const bool passed_over = pending == 0;
    const std::array<float, 1024> before = acc;
    EXPECT_EQ(abi_violations(reinterpret_cast<void (*)(void*)>(code->entry<AmxBlockFunction>()), &args), "");
    ASSERT_EQ(pending, certified ? 0 : 1) << trial;
    auto want = before;
    if (certified && !passed_over) want[0] += 1.0f;
    ASSERT_EQ(std::memcmp(acc.data(), want.data(), sizeof acc), 0) << trial;
  }
}

// ---- the bounds ----

struct TrueBounds {
  double norm = 0, largest_step_ratio = 0;  // of a step: ||a'|| / 2^u
  int emax = -1000, emin = 1000, last_place = 1000;
};

int exponent_of(ElementFormat format, unsigned byte) { return decode(format, byte).exponent; }

// The largest e such that 2^e divides x.
int last_place_of(double x) {
  int e = std::ilogb(x);
  while (std::fmod(x, std::ldexp(1.0, e)) != 0) --e;
  return e;
}

TrueBounds true_bounds(const QuantizedView& m, std::int64_t row, std::int64_t first_step,
                       std::int64_t steps) {
  const BlockInfo block = info(m.format);
  TrueBounds bounds;
  for (std::int64_t s = first_step; s < first_step + steps; ++s) {
    double squares = 0;
    int emin = 1000, last_place = 1000;
    for (std::int64_t k = 64 * s; k < std::min<std::int64_t>(m.cols, 64 * (s + 1)); ++k) {
      const unsigned byte = m.scale(row, k / block.block);
      const int exponent = exponent_of(block.scale, byte);
      bounds.emax = std::max(bounds.emax, exponent);
      const double value = static_cast<double>(decode_f32(ElementFormat::e2m1, m.code(row, k))) *
                           decode_f32(block.scale, byte);
      squares += value * value;
      if (value == 0) continue;
      emin = std::min(emin, exponent);
      last_place = std::min(last_place, last_place_of(decode_f32(block.scale, byte)) - 1);
    }
    bounds.norm += squares;
    bounds.emin = std::min(bounds.emin, emin);
    bounds.last_place = std::min(bounds.last_place, last_place);
    if (squares != 0)
      bounds.largest_step_ratio =
          std::max(bounds.largest_step_ratio, std::sqrt(squares) / std::exp2(last_place));
  }
  bounds.norm = std::sqrt(bounds.norm);
  return bounds;
}

TEST_F(AmxTest, BoundsAreAboveTheTruthAndNotFar) {
  std::mt19937_64 rng(33);
  for (const Format format : kFormats) {
    AmxPrepareGenerator generator(format, /*poison=*/true);
    const Result<ExecutableCode> code = generator.assemble("amx_prepare_test");
    ASSERT_TRUE(code.ok());
    for (const DataKind kind :
         {DataKind::gaussian, DataKind::wide_spread, DataKind::zero_blocks, DataKind::zero_rows}) {
      GemmProblem problem = make_problem({.m = 16, .n = 16, .k = 576, .format = format}, kind, rng);
      const QuantizedView a = problem.a.view();
      if (a.layout != ScaleLayout::linear) continue;
      alignas(64) static std::array<std::uint16_t, 18 * kTile> tiles;
      std::array<double, 16> unit_exponent;
      unit_exponent.fill(kNoUnitExponent);
      std::array<float, 5 * kRowBounds * 16> bounds{};
      AmxPrepareArgs args{a.codes,
                          a.cols / 2,
                          a.scales,
                          a.scale_cols(),
                          reinterpret_cast<std::uint8_t*>(tiles.data()),
                          16,
                          9,
                          unit_exponent.data(),
                          bounds.data(),
                          64,
                          kRowBounds * 64};
      EXPECT_EQ(abi_violations(reinterpret_cast<void (*)(void*)>(code->entry<AmxPrepareFunction>()), &args),
                "");
      std::vector<std::uint8_t> packed(static_cast<std::size_t>(PanelStreams::of(format, 16, 576).bytes));
      pack_panel(problem.a.view(), 0, packed.data());
      const auto* certificates = reinterpret_cast<const PanelCertificate*>(
          packed.data() + PanelStreams::of(format, 16, 576).certificates_offset);
      for (std::int64_t segment = 0; segment < 5; ++segment) {
        const std::int64_t first = segment * kSegmentSteps,
                           steps = std::min<std::int64_t>(kSegmentSteps, 9 - first);
        for (int row = 0; row < 16; ++row) {
          const TrueBounds want = true_bounds(a, row, first, steps),
                           prefix = true_bounds(a, row, 0, first + steps);
          const float* got = bounds.data() + segment * kRowBounds * 16 + row;
          const float norm = got[0], unit = got[16], reach = got[32], emax = got[48], emin = got[64];
          const std::string where = problem.describe() + " row " + std::to_string(row);
          EXPECT_GE(norm, want.norm) << where;
          EXPECT_LE(norm, want.norm * 1.001) << where;
          if (reach != kInfinity) {
            EXPECT_GE(reach, want.largest_step_ratio) << where;
            EXPECT_LE(reach, want.largest_step_ratio * 2.01) << where;
          }
          if (unit != 0 && prefix.emin != 1000) {
            EXPECT_EQ(unit, std::exp2(static_cast<float>(prefix.last_place))) << where;
          }
          if (prefix.emin == 1000) {
            EXPECT_EQ(emax, -kInfinity) << where;
          } else {
            EXPECT_GE(emax, want.emax) << where;
          }
          if (want.emin != 1000) {
            EXPECT_EQ(emin, want.emin) << where;
          }
          for (std::int64_t s = first; s < first + steps; ++s) {  // the panel's: the worst of its columns
            const TrueBounds of_step = true_bounds(a, row, s, 1);
            EXPECT_GE(certificates[s].segment_norm, want.norm) << where;
            EXPECT_GE(certificates[s].reach, of_step.largest_step_ratio) << where;
            EXPECT_LE(certificates[s].emin, of_step.emin) << where;
            EXPECT_GE(certificates[s].emax[row] - 128, of_step.emax < -126 ? -126 : of_step.emax) << where;
            if (prefix.emin != 1000 && certificates[s].unit_exponent != kNeverUnit) {
              EXPECT_LE(certificates[s].unit_exponent, prefix.last_place) << where;
            }
          }
        }
      }
    }
  }
}

// ---- whole products ----

TEST_F(AmxTest, ModelLikeDataIsCertifiedByBothTheorems) {
  std::mt19937_64 rng(34);
  std::int64_t segments = 0, steps = 0;
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    const GemmProblem problem =
        make_problem({.m = 33, .n = 40, .k = 1024, .format = format}, DataKind::gaussian, rng);
    const auto kernel = make_amx(problem.spec);
    ASSERT_TRUE(kernel.ok());
    RunStats stats;
    EXPECT_EQ(first_difference(problem, reference_answer(problem), answer(**kernel, problem, 2, &stats)), "");
    EXPECT_EQ(stats.vectors, 33 * 3 * 16);
    EXPECT_GE(stats.certified_fraction(), 0.999) << name_of(format);
    segments += stats.segment_vectors;
    steps += stats.vectors - stats.segment_vectors;
  }
  EXPECT_GT(segments, 33 * 3 * 8);
  EXPECT_GT(steps, 33 * 3 * 2);
}

TEST_F(AmxTest, BlockingIsVisibleAndChangesNoBit) {
  std::mt19937_64 rng(36);
  GemmProblem problem = make_problem({.m = 100, .n = 40, .k = 1120}, DataKind::wide_spread, rng);
  const std::vector<std::uint8_t> want = reference_answer(problem);
  for (const Blocking blocking :
       {Blocking{}, Blocking{32, 256}, Blocking{64, 1}, Blocking{1, 600}, Blocking{4096, 1 << 20}}) {
    problem.spec.blocking = blocking;
    const auto kernel = make_amx(problem.spec);
    ASSERT_TRUE(kernel.ok());
    EXPECT_EQ(first_difference(problem, want, answer(**kernel, problem, 3)), "") << (*kernel)->code().plan;
  }
  problem.spec.blocking = {40, 300};
  EXPECT_EQ((*make_amx(problem.spec))->code().plan.rfind("mc 64, kc 512: A tiles 64 KiB", 0), 0u)
      << (*make_amx(problem.spec))->code().plan;
}

TEST_F(AmxTest, GivenAccumulatorsAreNeverCertifiedAsSegments) {
  std::mt19937_64 rng(35);
  const GemmProblem problem =
      make_problem({.m = 40, .n = 40, .k = 512, .accumulate = true}, DataKind::gaussian, rng);
  const auto kernel = make_amx(problem.spec);
  ASSERT_TRUE(kernel.ok());
  RunStats stats;
  EXPECT_EQ(first_difference(problem, reference_answer(problem), answer(**kernel, problem, 1, &stats)), "");
  EXPECT_EQ(stats.segment_vectors, 0);
  EXPECT_LT(stats.general_vectors, stats.vectors / 100);
}

}  // namespace
}  // namespace fourge::tests

#endif  // __x86_64__
