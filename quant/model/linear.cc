#include "quant/model/linear.h"

#include "quant/hadamard.h"
#include "quant/model/vector_kernels.h"
#include "quant/quantize.h"

namespace fourge::quant {

std::span<const Linear> linears_of(Group group) {
  static constexpr Linear kQkv[] = {Linear::q, Linear::k, Linear::v}, kO[] = {Linear::o},
                          kGateUp[] = {Linear::gate, Linear::up}, kDown[] = {Linear::down};
  switch (group) {
    case Group::qkv:
      return kQkv;
    case Group::o:
      return kO;
    case Group::gate_up:
      return kGateUp;
    case Group::down:
      return kDown;
  }
  return {};
}

const char* module_name(Linear linear) {
  switch (linear) {
    case Linear::q:
      return "self_attn.q_proj";
    case Linear::k:
      return "self_attn.k_proj";
    case Linear::v:
      return "self_attn.v_proj";
    case Linear::o:
      return "self_attn.o_proj";
    case Linear::gate:
      return "mlp.gate_proj";
    case Linear::up:
      return "mlp.up_proj";
    case Linear::down:
      return "mlp.down_proj";
  }
  return "";
}

std::string module_path(std::int64_t layer, Linear linear) {
  return "model.layers." + std::to_string(layer) + "." + module_name(linear);
}

LinearShape shape_of(const ModelConfig& config, Linear linear) {
  switch (linear) {
    case Linear::q:
      return {config.q_width(), config.hidden};
    case Linear::k:
    case Linear::v:
      return {config.kv_width(), config.hidden};
    case Linear::o:
      return {config.hidden, config.q_width()};
    case Linear::gate:
    case Linear::up:
      return {config.intermediate, config.hidden};
    case Linear::down:
      return {config.hidden, config.intermediate};
  }
  return {0, 0};
}

Result<GroupInput> GroupInput::of(std::span<const float> x, std::int64_t tokens, std::int64_t cols,
                                  const InputTransform& transform, bool keep_values, ValueType type) {
  GroupInput input;
  input.tokens_ = tokens;
  input.cols_ = cols;
  input.values_.assign(x.begin(), x.end());
  if (transform.rotation > 1) {
    if (Status rotated = hadamard_blocks(input.values_, transform.rotation); !rotated)
      return rotated.failure();
  }
  const auto round_values = [&input] {
    round_to_bf16(input.values_.data(), static_cast<std::int64_t>(input.values_.size()));
  };
  if (type == ValueType::fake_bf16) round_values();
  if (!transform.quantized) return input;

  const LaneScaling scaling{.format = transform.format,
                            .rule = transform.rule,
                            .amax = transform.amax > 0.0f ? transform.amax : tensor_amax(input.values_),
                            .encode = transform.encode};
  Result<QuantizedMatrix> matrix = quantize_with_scaling(input.values_, tokens, cols, scaling);
  if (!matrix) return matrix.failure();
  input.output_scale_ = matrix->tensor_scale.as_decode_multiplier();
  input.matrix_ = std::move(*matrix);
  if (keep_values) {
    QuantizedView unscaled = input.matrix_->view();
    unscaled.tensor_scale = {};
    if (Status decoded = dequantize(unscaled, input.values_); !decoded) return decoded.failure();
  }
  if (type == ValueType::fake_bf16) {
    for (float& v : input.values_) v *= input.output_scale_;
    round_values();
    input.output_scale_ = 1.0f;
  }
  return input;
}

LinearLayer LinearLayer::rounded_to_bf16() const {
  if (weight_.quantized() == nullptr) return *this;
  std::vector<float> values = weight_.to_values();
  round_to_bf16(values.data(), static_cast<std::int64_t>(values.size()));
  return LinearLayer(Weight::of_values(std::move(values), weight_.rows(), weight_.cols()), output_divisors_);
}

Status LinearLayer::apply(const GroupInput& input, Numerics numerics, float* out) {
  if (numerics == Numerics::blackwell) return apply_blackwell(input, out);
  const std::int64_t tokens = input.tokens(), rows = weight_.rows();
  multiply({input.values().data(), input.cols(), 1}, weight_,
           {.m = tokens, .n = rows, .k = input.cols(), .c = out, .c_stride = rows});
  const float scale = input.output_scale() * weight_.output_scale();
  if (scale == 1.0f) return {};
#pragma omp parallel for
  for (std::int64_t i = 0; i < tokens * rows; ++i) out[i] *= scale;
  return {};
}

Status LinearLayer::apply_blackwell(const GroupInput& input, float* out) {
  const QuantizedMatrix* a = input.quantized();
  const QuantizedMatrix* b = weight_.quantized();
  if (a == nullptr || b == nullptr) {
    return {Error::kBadArgument, "numerics blackwell needs 4-bit weights and activations; use numerics fast",
            "linear layer of " + std::to_string(weight_.rows()) + " x " + std::to_string(weight_.cols())};
  }
  if (!gemm_ || gemm_->spec().m != input.tokens()) {
    Result<Gemm> gemm =
        Gemm::create({.m = input.tokens(), .n = weight_.rows(), .k = weight_.cols(), .format = b->format});
    if (!gemm) return gemm.failure();
    gemm_ = std::move(*gemm);
  }
  if (!packed_) {
    Result<PackedWeights> packed = gemm_->pack(b->view());
    if (!packed) return packed.failure();
    packed_ = std::move(*packed);
  }
  return gemm_->run(a->view(), *packed_, {.alpha = gemm_alpha(a->tensor_scale, b->tensor_scale), .d = out});
}

}  // namespace fourge::quant
