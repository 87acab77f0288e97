#include "fourge/quantizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "fourge/hadamard.h"
#include "jit/element_io.h"
#include "jit/quantize/quantize_kernel.h"
#include "jit/quantize/strips.h"
#include "jit/registry.h"
#include "jit/verbose.h"

namespace fourge {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 40;

std::string shape(std::int64_t rows, std::int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

Status check_operands(const QuantizerSpec& spec, const QuantizeOperands& o) {
  const std::string where = shape(o.rows, o.cols);
  if (o.rows < 0 || o.cols < 0 || o.rows > kMaxExtent || o.cols > kMaxExtent)
    return {Error::kBadShape, "expected extents from 0 to 2^40", where};
  if (o.rows != 0 && o.cols > (std::int64_t{1} << 60) / o.rows)
    return {Error::kBadShape, "expected at most 2^60 elements", where};
  const std::int64_t row = spec.transpose ? o.rows : o.cols;
  const int block = info(spec.quantize.format).block;
  if (row % block != 0) {
    return {Error::kBadShape, "expected quantised rows in multiples of the scale block",
            where + ", block " + std::to_string(block) + (spec.transpose ? ", transposed" : "")};
  }
  if (spec.rotate != 0 && row % spec.rotate != 0) {
    return {Error::kBadShape, "expected quantised rows in multiples of the rotation",
            where + ", rotation " + std::to_string(spec.rotate) + (spec.transpose ? ", transposed" : "")};
  }
  if (o.x_stride != 0 && (o.x_stride < o.cols || o.x_stride > kMaxExtent))
    return {Error::kBadShape, "expected a stride of at least cols, or 0", std::to_string(o.x_stride)};
  if (o.amax.has_value() && !(*o.amax >= 0.0f && std::isfinite(*o.amax)))
    return {Error::kBadArgument, "expected a finite amax, not negative", std::to_string(*o.amax)};
  if (spec.signs != (o.signs != nullptr))
    return {Error::kBadArgument, "signs must be given exactly when the spec has them"};
  if (o.rows == 0 || o.cols == 0) return {};
  if (o.x == nullptr || o.codes == nullptr || o.scales == nullptr)
    return {Error::kBadArgument, "null matrix, codes or scales"};
  return {};
}

// The tensor-wide constants of quant/nvfp4.h.
void set_scaling(const QuantizeSpec& spec, float amax, jit::StripArgs& args) {
  constexpr float kFloatMax = std::numeric_limits<float>::max();
  const float denominator = largest_code(spec.rule) * largest_scale(spec);
  args.amax = amax;
  args.error_scale = amax / denominator;
  if (spec.rule == ScaleRule::quest) {
    args.encode = args.decode = 1.0f;
    return;
  }
  args.encode = std::min(denominator / amax, kFloatMax);
  args.decode = 1.0f / args.encode;
}

void set_keys(std::uint64_t seed, jit::StripArgs& args) {
  auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  for (std::size_t round = 0; round < jit::kPhiloxRounds; ++round) {
    args.keys[2 * round] = key0, args.keys[2 * round + 1] = key1;
    key0 += 0x9e3779b9, key1 += 0xbb67ae85;
  }
}

}  // namespace

Status check(const QuantizerSpec& spec) {
  if (const Status valid = check(spec.quantize); !valid.ok()) return valid;
  if (!jit::is_plain(spec.input))
    return {Error::kUnsupportedFormat, "expected f32, bf16 or f16", name_of(spec.input)};
  if (spec.signs && spec.rotate == 0) return {Error::kBadArgument, "signs belong to a rotation"};
  if (spec.rotate == 0) return {};
  return check(HadamardSpec{.order = spec.rotate});
}

std::string kernel_name(const QuantizerSpec& spec) {
  const QuantizeSpec& q = spec.quantize;
  std::string name =
      std::string("quantize_") + name_of(q.format) + "_" + name_of(q.rule) + "_" + name_of(spec.input);
  if (q.block_2d) name += "_2d";
  if (q.scale_max != 0) name += "_max" + std::to_string(q.scale_max);
  if (q.rounding == ElementRounding::stochastic) name += "_stochastic";
  if (spec.transpose) name += "_t";
  if (spec.rotate != 0) name += "_r" + std::to_string(spec.rotate) + (spec.signs ? "s" : "");
  if (q.layout != ScaleLayout::linear) name += std::string("_") + name_of(q.layout);
  return name;
}

Result<Quantizer> Quantizer::create(const QuantizerSpec& spec, const KernelOptions& options) {
  if (const Status valid = check(spec); !valid.ok()) return valid.failure();
  auto choice = jit::choose(jit::quantize_kernels(), spec, options);
  if (!choice.ok()) return choice.failure();
  Quantizer quantizer;
  quantizer.spec_ = spec;
  quantizer.kernel_ = std::move(choice->kernel);
  quantizer.decisions_ = std::move(choice->decisions);
  return quantizer;
}

KernelCode Quantizer::code() const { return kernel_->code(); }

Result<QuantizeOutcome> Quantizer::run(const QuantizeOperands& operands, const RunOptions& options) const {
  if (const Status valid = check_operands(spec_, operands); !valid.ok()) return valid.failure();
  if (options.threads < 0) return {Error::kBadArgument, "threads must not be negative"};
  const jit::ExecTimer timer([&] {
    return code().name + ": " + std::to_string(operands.rows) + " x " + std::to_string(operands.cols);
  });
  return jit::quantize_with(*kernel_, spec_, operands, options.threads);
}

namespace jit {

Result<QuantizeOutcome> quantize_with(const QuantizeKernel& kernel, const QuantizerSpec& spec,
                                      const QuantizeOperands& operands, int threads) {
  const bool two_level = spec.quantize.format == Format::nvfp4 && spec.quantize.rule != ScaleRule::quest;
  QuantizeOutcome outcome;
  outcome.amax = operands.amax.value_or(0.0f);
  if (operands.rows != 0 && operands.cols != 0) {
    StripPass pass(spec, kernel, operands, threads);
    if (two_level && !operands.amax.has_value()) {
      if (const Status found = pass.find_amax(outcome.amax); !found.ok()) return found.failure();
      if (!std::isfinite(outcome.amax))
        return {Error::kBadArgument, "expected finite values", "an element is infinite"};
    }
    StripArgs tensor{};
    set_keys(operands.seed, tensor);
    if (spec.quantize.format == Format::nvfp4) set_scaling(spec.quantize, outcome.amax, tensor);
    // search never goes below the least normal scale: its scales of zeros are not 0.
    const bool zeros_are_zeros = two_level && spec.quantize.rule != ScaleRule::search;
    if (zeros_are_zeros && outcome.amax == 0.0f && !operands.amax.has_value()) {
      pass.write_zeros();
    } else if (const Status done = pass.quantize(tensor, outcome); !done.ok()) {
      return done.failure();
    }
  }
  if (two_level) {
    const float denominator = largest_code(spec.quantize.rule) * largest_scale(spec.quantize);
    outcome.tensor_scale = TensorScale::decode_multiplier(outcome.amax / denominator);
  }
  if (spec.quantize.format != Format::nvfp4 &&
      (spec.quantize.rule == ScaleRule::shift || spec.quantize.rule == ScaleRule::search))
    outcome.tensor_scale = TensorScale::encode_multiplier(3.0f);
  return outcome;
}

std::span<const QuantizeKernelEntry> quantize_kernels() {
  static constexpr QuantizeKernelEntry kKernels[] = {
#define FOURGE_QUANTIZE_KERNEL(isa_variant, isa, refusal, make) {isa_variant, isa, refusal, make},
#include "jit/kernels.inc"
  };
  return kKernels;
}

}  // namespace jit
}  // namespace fourge
