// Rotation and quantisation in one kernel against shared/golden/gptq/kernels: QuTLASS's formulas in f64, with
// its rotation matrices rounded to bf16.
#include <gtest/gtest.h>

#include "fourge/quantizer.h"
#include "tests/quant/golden.h"
#include "tests/support/plain_matrix.h"
#include "tests/support/shared_data.h"

namespace fourge::tests {
namespace {

using quant::GoldenBytes;
using quant::GoldenInput;
using quant::read_golden_bytes;
using quant::read_golden_input;

struct Quantised {
  std::vector<std::uint8_t> codes, scales;
};

Quantised quantise(const QuantizerSpec& spec, const GoldenInput& x, float rotation_scale,
                   std::optional<float> amax) {
  const std::vector<std::uint8_t> bytes = from_f32(spec.input, x.values);
  const std::int64_t rows = spec.transpose ? x.cols : x.rows, cols = spec.transpose ? x.rows : x.cols;
  const std::int64_t scales =
      scale_bytes(spec.quantize.layout, rows, cols / info(spec.quantize.format).block);
  Quantised out{std::vector<std::uint8_t>(static_cast<std::size_t>(rows * cols / 2)),
                std::vector<std::uint8_t>(static_cast<std::size_t>(scales))};
  const Result<Quantizer> quantizer = Quantizer::create(spec);
  EXPECT_TRUE(quantizer.ok());
  const Result<QuantizeOutcome> outcome = quantizer->run({.x = bytes.data(),
                                                          .rows = x.rows,
                                                          .cols = x.cols,
                                                          .rotation_scale = rotation_scale,
                                                          .amax = amax,
                                                          .codes = out.codes.data(),
                                                          .scales = out.scales.data()});
  EXPECT_TRUE(outcome.ok()) << outcome.failure().message();
  return out;
}

// The sign of zero is the sign of a sum that is 0 in one arithmetic and 1e-17 in another.
int different_codes(const std::vector<std::uint8_t>& ours, const GoldenBytes& golden) {
  EXPECT_EQ(ours.size(), golden.bytes.size());
  int count = 0;
  const auto differ = [](unsigned a, unsigned b) { return a != b && ((a | b) & 7u) != 0; };
  for (std::size_t i = 0; i < ours.size(); ++i) {
    count += differ(ours[i] & 15u, golden.bytes[i] & 15u) ? 1 : 0;
    count += differ(ours[i] >> 4, golden.bytes[i] >> 4) ? 1 : 0;
  }
  return count;
}

TEST(GoldenRotation, QutlassAbsMaxAndQuestMatch) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path folder = shared / "golden" / "gptq" / "kernels";
  int cases = 0, elements = 0, differences = 0;
  for (const bool nv : {false, true}) {
    for (const bool quest : {false, true}) {
      for (const std::int64_t order : {16, 32, 64, 128}) {
        if (!nv && order == 16) continue;  // shorter than a block
        for (const char* const side : {"a", "b"}) {
          const std::string name = std::string(nv ? "nv" : "mx") + (quest ? "_quest" : "_abs_max") + "_had" +
                                   std::to_string(order) + "_" + side;
          SCOPED_TRACE(name);
          const std::string kind = nv ? "_e4m3" : "_e8m0";
          const GoldenInput x = read_golden_input(folder / (side + std::string("_bf16_as_f32.npy")));
          const GoldenInput h =
              read_golden_input(folder / ("hadamard" + std::to_string(order) + "_bf16_as_f32.npy"));
          QuantizerSpec spec{.quantize = {.format = nv ? Format::nvfp4 : Format::mxfp4,
                                          .rule = quest ? ScaleRule::quest
                                                  : nv  ? ScaleRule::static_6
                                                        : ScaleRule::shift},
                             .input = ElementFormat::bf16,
                             .rotate = order};
          // Their encode multiplier is 6: 2688 / amax.
          const std::optional<float> amax = nv && !quest ? std::optional(448.0f) : std::nullopt;
          const Quantised ours = quantise(spec, x, h.values[0], amax);
          EXPECT_EQ(ours.scales, read_golden_bytes(folder / (name + kind + ".npy")).bytes);
          differences += different_codes(ours.codes, read_golden_bytes(folder / (name + "_codes.npy")));
          elements += static_cast<int>(x.values.size());
          ++cases;
          if (side[0] != 'a') continue;
          spec.quantize.layout = ScaleLayout::swizzled_128x4;
          EXPECT_EQ(quantise(spec, x, h.values[0], amax).scales,
                    read_golden_bytes(folder / (name + kind + "_blocked.npy")).bytes);
        }
      }
    }
  }
  EXPECT_EQ(cases, 2 * 2 * (3 + 4));
  EXPECT_EQ(differences, 0) << "of " << elements << "; QuTLASS's own test allows one in 10,000";
}

TEST(GoldenRotation, QutlassBackwardTransposeMatches) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path folder = shared / "golden" / "gptq" / "kernels";
  const GoldenInput x = read_golden_input(folder / "bwd_x_bf16_as_f32.npy");
  const GoldenInput h = read_golden_input(folder / "hadamard32_bf16_as_f32.npy");
  const Quantised ours = quantise({.quantize = {.format = Format::mxfp4, .rule = ScaleRule::shift},
                                   .input = ElementFormat::bf16,
                                   .transpose = true,
                                   .rotate = 32},
                                  x, h.values[0], std::nullopt);
  EXPECT_EQ(ours.scales, read_golden_bytes(folder / "bwd_t_e8m0.npy").bytes);
  EXPECT_EQ(different_codes(ours.codes, read_golden_bytes(folder / "bwd_t_codes.npy")), 0);
}

}  // namespace
}  // namespace fourge::tests
