// The linear layers of a block, grouped by their common input: what a group does to its input (rotation,
// 4-bit quantisation) happens once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/gemm.h"
#include "fourge/quantize.h"
#include "quant/model/config.h"
#include "quant/model/weight.h"

namespace fourge::quant {

enum class Linear : std::uint8_t { q, k, v, o, gate, up, down };
inline constexpr std::array<Linear, 7> kLinears = {Linear::q,    Linear::k,  Linear::v,   Linear::o,
                                                   Linear::gate, Linear::up, Linear::down};
enum class Group : std::uint8_t { qkv, o, gate_up, down };
inline constexpr std::array<Group, 4> kGroups = {Group::qkv, Group::o, Group::gate_up, Group::down};

constexpr Group group_of(Linear linear) {
  switch (linear) {
    case Linear::q:
    case Linear::k:
    case Linear::v:
      return Group::qkv;
    case Linear::o:
      return Group::o;
    case Linear::gate:
    case Linear::up:
      return Group::gate_up;
    case Linear::down:
      return Group::down;
  }
  return Group::qkv;
}
/// The layers that share the group's input.
std::span<const Linear> linears_of(Group group);

/// "self_attn.q_proj"
const char* module_name(Linear linear);
/// "model.layers.3.self_attn.q_proj"
std::string module_path(std::int64_t layer, Linear linear);

struct LinearShape {
  std::int64_t rows, cols;
};
LinearShape shape_of(const ModelConfig& config, Linear linear);

/// What values between operations are rounded to.
enum class ValueType : std::uint8_t {
  f32,
  bf16,       // everywhere that transformers' bf16 models on a GPU round: norms, products, RoPE's two terms,
              // probabilities, both factors of SwiGLU, the residual stream, logits
  fake_bf16,  // bf16, and rotated inputs, rotated weights, dequantised inputs and weights too: what fake
              // quantisation of a bf16 model computes (FP-Quant)
};
constexpr const char* name_of(ValueType type) {
  switch (type) {
    case ValueType::f32:
      return "f32";
    case ValueType::bf16:
      return "bf16";
    case ValueType::fake_bf16:
      return "fake_bf16";
  }
  return "";
}

/// What happens to a group's input before its products.
struct InputTransform {
  std::int64_t rotation = 1;  // order of the Hadamard blocks; 1: none
  bool quantized = false;     // W4A4
  Format format = Format::nvfp4;
  ScaleRule rule = ScaleRule::static_6;
  float amax = 0.0f;    // nvfp4: of the tensor, fixed by calibration; 0: each call's own
  float encode = 1.0f;  // mxfp4 with sweep: value = code * scale / encode

  bool operator==(const InputTransform&) const = default;
};

/// The input of a group after its transform: codes where it is quantised, else values.
class GroupInput {
 public:
  /// x: tokens x cols. The quantised form keeps decoded values too when `keep_values`.
  static Result<GroupInput> of(std::span<const float> x, std::int64_t tokens, std::int64_t cols,
                               const InputTransform& transform, bool keep_values,
                               ValueType type = ValueType::f32);

  std::int64_t tokens() const { return tokens_; }
  std::int64_t cols() const { return cols_; }
  const QuantizedMatrix* quantized() const { return matrix_ ? &*matrix_ : nullptr; }
  /// The values that enter an f32 product, and what the product has yet to be multiplied with.
  std::span<const float> values() const { return values_; }
  float output_scale() const { return output_scale_; }

 private:
  std::int64_t tokens_ = 0, cols_ = 0;
  std::vector<float> values_;
  std::optional<QuantizedMatrix> matrix_;
  float output_scale_ = 1.0f;
};

/// One linear layer, ready to multiply.
class LinearLayer {
 public:
  LinearLayer() = default;
  explicit LinearLayer(Weight weight, std::vector<float> output_divisors = {})
      : weight_(std::move(weight)), output_divisors_(std::move(output_divisors)) {}

  const Weight& weight() const { return weight_; }
  /// What equalize() divided the rows by, for comparisons with the model as it was; empty: nothing.
  const std::vector<float>& output_divisors() const { return output_divisors_; }
  /// A 4-bit layer with its weights decoded, each rounded to bf16; others as they are.
  LinearLayer rounded_to_bf16() const;
  /// out = input * weight^T, tokens x rows. Numerics::blackwell goes through the bit-exact GEMM when both
  /// sides are 4-bit of one format, and is refused otherwise.
  Status apply(const GroupInput& input, Numerics numerics, float* out);

 private:
  Status apply_blackwell(const GroupInput& input, float* out);

  Weight weight_;
  std::vector<float> output_divisors_;
  std::optional<Gemm> gemm_;  // of the last number of tokens
  std::optional<PackedWeights> packed_;
};

}  // namespace fourge::quant
