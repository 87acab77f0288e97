// The tensors of one 4-bit layer, format by format.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "quant/export/stored_model.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

constexpr float kNvfp4Full = 2688.0f;  // 6 * 448: tensor scale = amax / 2688

std::vector<std::uint8_t> bytes_of(std::span<const float> values) {
  std::vector<std::uint8_t> bytes(values.size_bytes());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Reads the tensors of one module of one checkpoint.
class LayerReader {
 public:
  LayerReader(const Checkpoint& checkpoint, std::string module, LinearShape shape, Format format)
      : checkpoint_(checkpoint), module_(std::move(module)), shape_(shape), format_(format) {}

  /// Codes and scales into `matrix`.
  Status read_matrix(const char* codes, const char* scales, QuantizedMatrix& matrix) const {
    matrix.format = format_;
    matrix.rows = shape_.rows;
    matrix.cols = shape_.cols;
    const std::int64_t scale_cols = shape_.cols / info(format_).block;
    if (Status read = read_bytes(codes, {shape_.rows, shape_.cols / 2}, matrix.codes); !read) return read;
    return read_bytes(scales, {shape_.rows, scale_cols}, matrix.scales);
  }

  bool has(const char* suffix) const { return checkpoint_.contains(name(suffix)); }

  /// One positive, finite F32, of shape [] or [1].
  Result<float> read_scalar(const char* suffix) const {
    const Result<Tensor> tensor = checkpoint_.find(name(suffix));
    if (!tensor) return tensor.failure();
    const std::string where =
        printable(checkpoint_.folder().string()) + ": tensor " + in_quotes(name(suffix));
    if (tensor->dtype != DType::f32 || tensor->elements() != 1)
      return {Error::kBadFile, "expected one F32: scales of other types lose bits silently", where};
    float value = 0.0f;
    std::memcpy(&value, tensor->bytes.data(), sizeof(float));
    if (!(value > 0.0f) || !std::isfinite(value))
      return {Error::kBadFile, "expected a positive finite scale", where + ": " + std::to_string(value)};
    return value;
  }

  /// One positive, finite value a row.
  Result<std::vector<float>> read_rows(const char* suffix) const {
    const Result<Tensor> tensor = checkpoint_.find_finite(name(suffix), {shape_.rows});
    if (!tensor) return tensor.failure();
    Result<std::vector<float>> values = tensor_to_f32(*tensor);
    if (!values) return values;
    for (const float v : *values)
      if (!(v > 0.0f)) return {Error::kBadFile, "expected positive values", in_quotes(name(suffix))};
    return values;
  }

  Result<Tensor> find(const char* suffix, const std::vector<std::int64_t>& shape) const {
    return checkpoint_.find(name(suffix), shape);
  }
  std::string name(const char* suffix) const { return module_ + "." + suffix; }

 private:
  Status read_bytes(const char* suffix, const std::vector<std::int64_t>& shape,
                    std::vector<std::uint8_t>& out) const {
    const Result<Tensor> tensor = checkpoint_.find(name(suffix), shape);
    if (!tensor) return tensor.failure();
    if (info(tensor->dtype).bits != 8) {
      return {Error::kBadFile, "expected a type of 8 bits",
              printable(checkpoint_.folder().string()) + ": tensor " + in_quotes(name(suffix)) + ": dtype " +
                  std::string(name_of(tensor->dtype))};
    }
    out.assign(tensor->bytes.begin(), tensor->bytes.end());
    return {};
  }

  const Checkpoint& checkpoint_;
  std::string module_;
  LinearShape shape_;
  Format format_;
};

Status read_fourge(const LayerReader& reader, QuantizedLayer& out) {
  if (Status read = reader.read_matrix("codes", "scales", out.matrix); !read) return read;
  const bool encodes = reader.has("encode_scale");
  const Result<float> scale = reader.read_scalar(encodes ? "encode_scale" : "decode_scale");
  if (!scale) return scale.failure();
  out.matrix.tensor_scale =
      encodes ? TensorScale::encode_multiplier(*scale) : TensorScale::decode_multiplier(*scale);
  if (reader.has("input_amax")) {
    const Result<float> amax = reader.read_scalar("input_amax");
    if (!amax) return amax.failure();
    out.input.amax = *amax;
  }
  if (reader.has("input_encode_scale")) {
    const Result<float> encode = reader.read_scalar("input_encode_scale");
    if (!encode) return encode.failure();
    out.input.encode = *encode;
  }
  if (reader.has("output_divisors")) {
    Result<std::vector<float>> divisors = reader.read_rows("output_divisors");
    if (!divisors) return divisors.failure();
    out.output_divisors = std::move(*divisors);
  }
  return {};
}

/// The order of the normalised Hadamard matrix in bf16 (or of the identity: 1); none for another matrix.
std::optional<std::int64_t> order_of_matrix(std::span<const float> m, std::int64_t order) {
  bool hadamard = true, identity = true;
  const float entry = 1.0f / std::sqrt(static_cast<float>(order));
  for (std::int64_t i = 0; i < order; ++i) {
    for (std::int64_t j = 0; j < order; ++j) {
      const float x = m[static_cast<std::size_t>(i * order + j)];
      const bool odd = std::popcount(static_cast<std::uint64_t>(i & j)) % 2 != 0;
      hadamard &= std::fabs(x - (odd ? -entry : entry)) <= entry / 128.0f;
      identity &= x == (i == j ? 1.0f : 0.0f);
    }
  }
  if (identity) return 1;
  if (hadamard) return order;
  return std::nullopt;
}

Status read_fp_quant(const LayerReader& reader, std::int64_t order, QuantizedLayer& out) {
  if (Status read = reader.read_matrix("qweight", "scales", out.matrix); !read) return read;
  const Result<float> weight_scale = reader.read_scalar("weight_global_scale");
  if (!weight_scale) return weight_scale.failure();
  const Result<float> act_scale = reader.read_scalar("act_global_scale");
  if (!act_scale) return act_scale.failure();
  out.matrix.tensor_scale = TensorScale::encode_multiplier(*weight_scale);
  if (out.matrix.format == Format::nvfp4) {
    out.input.amax = kNvfp4Full / *act_scale;
  } else if (*act_scale != 3.0f) {
    return {Error::kUnsupportedFormat, "expected 3, the scale of FP-Quant's MXFP4 activations",
            reader.name("act_global_scale") + ": " + std::to_string(*act_scale)};
  }
  const Result<Tensor> matrix = reader.find("forward_hadamard_matrix", {order, order});
  if (!matrix) return matrix.failure();
  const Result<std::vector<float>> values = tensor_to_f32(*matrix);
  if (!values) return values.failure();
  const std::optional<std::int64_t> rotation = order_of_matrix(*values, order);
  if (!rotation) {
    return {Error::kUnsupportedFormat, "expected a Sylvester Hadamard matrix or the identity",
            reader.name("forward_hadamard_matrix")};
  }
  out.input.rotation = *rotation;
  return {};
}

Status read_compressed_tensors(const LayerReader& reader, QuantizedLayer& out) {
  if (Status read = reader.read_matrix("weight_packed", "weight_scale", out.matrix); !read) return read;
  if (out.matrix.format != Format::nvfp4) return {};
  const Result<float> scale = reader.read_scalar("weight_global_scale");
  if (!scale) return scale.failure();
  out.matrix.tensor_scale = TensorScale::encode_multiplier(*scale);
  if (!out.input.quantized || !reader.has("input_global_scale")) return {};
  const Result<float> input = reader.read_scalar("input_global_scale");
  if (!input) return input.failure();
  out.input.amax = kNvfp4Full / *input;
  return {};
}

Status read_modelopt(const LayerReader& reader, QuantizedLayer& out) {
  if (Status read = reader.read_matrix("weight", "weight_scale", out.matrix); !read) return read;
  const Result<float> scale = reader.read_scalar("weight_scale_2");
  if (!scale) return scale.failure();
  out.matrix.tensor_scale = TensorScale::decode_multiplier(*scale);
  if (!out.input.quantized || !reader.has("input_scale")) return {};
  const Result<float> input = reader.read_scalar("input_scale");
  if (!input) return input.failure();
  out.input.amax = *input * kNvfp4Full;
  return {};
}

/// Adds the tensors of one module.
class LayerWriter {
 public:
  LayerWriter(SafetensorsWriter& writer, const std::string& module, const QuantizedLayer& layer)
      : writer_(writer), module_(module), layer_(layer) {}

  Status add_matrix(const char* codes, const char* scales, DType scale_type) {
    const QuantizedMatrix& m = layer_.matrix;
    if (Status added = add(codes, DType::u8, {m.rows, m.cols / 2}, m.codes); !added) return added;
    return add(scales, scale_type, {m.rows, m.scale_cols()}, m.scales);
  }
  Status add(const char* suffix, DType dtype, std::vector<std::int64_t> shape,
             std::vector<std::uint8_t> bytes) {
    return writer_.add_owned(module_ + "." + suffix, dtype, std::move(shape), std::move(bytes));
  }
  Status add_scalar(const char* suffix, float value, std::vector<std::int64_t> shape = {1}) {
    return add(suffix, DType::f32, std::move(shape), bytes_of(std::span(&value, 1)));
  }
  const QuantizedLayer& layer() const { return layer_; }
  Failure refusal(const char* reason) const { return {Error::kUnsupportedFormat, reason, module_}; }

 private:
  SafetensorsWriter& writer_;
  const std::string& module_;
  const QuantizedLayer& layer_;
};

float as_encode_multiplier(const TensorScale& scale) {
  return scale.direction == TensorScale::Direction::encode_multiplier ? scale.value : 1.0f / scale.value;
}

Status add_fourge(LayerWriter writer) {
  const QuantizedLayer& layer = writer.layer();
  if (Status added = writer.add_matrix("codes", "scales", DType::u8); !added) return added;
  const TensorScale& scale = layer.matrix.tensor_scale;
  const bool encodes = scale.direction == TensorScale::Direction::encode_multiplier;
  if (Status added = writer.add_scalar(encodes ? "encode_scale" : "decode_scale", scale.value); !added)
    return added;
  if (layer.input.amax > 0.0f)
    if (Status added = writer.add_scalar("input_amax", layer.input.amax); !added) return added;
  if (layer.input.encode != 1.0f)
    if (Status added = writer.add_scalar("input_encode_scale", layer.input.encode); !added) return added;
  if (layer.output_divisors.empty()) return {};
  return writer.add("output_divisors", DType::f32, {layer.matrix.rows}, bytes_of(layer.output_divisors));
}

std::vector<std::uint8_t> rotation_matrix_bf16(std::int64_t rotation, std::int64_t order) {
  const std::uint32_t entry = std::bit_cast<std::uint32_t>(1.0f / std::sqrt(static_cast<float>(order)));
  const auto rounded = static_cast<std::uint16_t>((entry + 0x7fffu + (entry >> 16 & 1u)) >> 16);
  std::vector<std::uint8_t> bytes;
  for (std::int64_t i = 0; i < order; ++i) {
    for (std::int64_t j = 0; j < order; ++j) {
      const bool odd = std::popcount(static_cast<std::uint64_t>(i & j)) % 2 != 0;
      const std::uint16_t hadamard = static_cast<std::uint16_t>(rounded | (odd ? 0x8000u : 0u));
      const std::uint16_t word = rotation > 1 ? hadamard : i == j ? 0x3f80 : 0;
      bytes.push_back(static_cast<std::uint8_t>(word & 0xffu));
      bytes.push_back(static_cast<std::uint8_t>(word >> 8));
    }
  }
  return bytes;
}

Status add_fp_quant(LayerWriter writer) {
  const QuantizedLayer& layer = writer.layer();
  const bool nv = layer.matrix.format == Format::nvfp4;
  if (nv && layer.input.amax <= 0.0f)
    return writer.refusal("FP-Quant stores a static activation scale: quantise with static activations");
  const float scale = as_encode_multiplier(layer.matrix.tensor_scale);
  if (!nv && scale != 3.0f)
    return writer.refusal("FP-Quant's MXFP4 has the tensor scale 1 / 3: scale rules shift and search");
  if (Status added = writer.add_matrix("qweight", "scales", DType::u8); !added) return added;
  if (Status added = writer.add_scalar("weight_global_scale", scale); !added) return added;
  if (Status added = writer.add_scalar("act_global_scale", nv ? kNvfp4Full / layer.input.amax : 3.0f); !added)
    return added;
  const std::int64_t order = layer.input.rotation > 1 ? layer.input.rotation : nv ? 16 : 32;
  for (const char* name : {"forward_hadamard_matrix", "backward_hadamard_matrix"}) {
    Status added =
        writer.add(name, DType::bf16, {order, order}, rotation_matrix_bf16(layer.input.rotation, order));
    if (!added) return added;
  }
  return {};
}

Status refuse_rotation(const LayerWriter& writer) {
  if (writer.layer().input.rotation == 1) return {};
  return writer.refusal("the format has no place for a rotation of the inputs: use fourge or fp-quant");
}

Status add_compressed_tensors(LayerWriter writer) {
  if (Status plain = refuse_rotation(writer); !plain) return plain;
  const QuantizedLayer& layer = writer.layer();
  const float scale = as_encode_multiplier(layer.matrix.tensor_scale);
  if (layer.matrix.format != Format::nvfp4) {
    if (scale != 1.0f) return writer.refusal("mxfp4-pack-quantized has no tensor scale: not shift or search");
    return writer.add_matrix("weight_packed", "weight_scale", DType::u8);
  }
  if (Status added = writer.add_matrix("weight_packed", "weight_scale", DType::f8_e4m3); !added) return added;
  if (Status added = writer.add_scalar("weight_global_scale", scale); !added) return added;
  if (!layer.input.quantized) return {};
  if (layer.input.amax <= 0.0f)
    return writer.refusal("the format stores a static activation scale: quantise with static activations");
  return writer.add_scalar("input_global_scale", kNvfp4Full / layer.input.amax);
}

Status add_modelopt(LayerWriter writer) {
  if (Status plain = refuse_rotation(writer); !plain) return plain;
  const QuantizedLayer& layer = writer.layer();
  if (layer.matrix.format != Format::nvfp4) return writer.refusal("expected nvfp4");
  if (Status added = writer.add_matrix("weight", "weight_scale", DType::f8_e4m3); !added) return added;
  if (Status added =
          writer.add_scalar("weight_scale_2", layer.matrix.tensor_scale.as_decode_multiplier(), {});
      !added)
    return added;
  if (!layer.input.quantized) return {};
  if (layer.input.amax <= 0.0f)
    return writer.refusal("the format stores a static activation scale: quantise with static activations");
  return writer.add_scalar("input_scale", layer.input.amax / kNvfp4Full, {});
}

}  // namespace

Result<QuantizedLayer> read_stored_layer(const Checkpoint& checkpoint, const StoredScheme& scheme,
                                         std::int64_t layer, Linear linear) {
  const std::string module = module_path(layer, linear);
  const LinearShape shape = shape_of(checkpoint.config(), linear);
  if (shape.cols % info(scheme.format).block != 0)
    return {Error::kBadShape, "expected columns in multiples of the scale block", module};
  QuantizedLayer out;
  out.input = {.rotation = scheme.rotation_of(module),
               .quantized = scheme.quantize_activations,
               .format = scheme.format,
               .rule = scheme.activation_rule};
  if (out.input.rotation < 1 || shape.cols % out.input.rotation != 0)
    return {Error::kBadFile, "the rotation does not divide the columns",
            module + ": " + std::to_string(out.input.rotation)};
  const LayerReader reader(checkpoint, module, shape, scheme.format);
  Status read;
  switch (scheme.stored) {
    case StoredFormat::fourge:
      read = read_fourge(reader, out);
      break;
    case StoredFormat::fp_quant:
      read = read_fp_quant(reader, scheme.rotation_of(module), out);
      break;
    case StoredFormat::compressed_tensors:
      read = read_compressed_tensors(reader, out);
      break;
    case StoredFormat::modelopt:
      read = read_modelopt(reader, out);
      break;
    case StoredFormat::none:
      read = {Error::kBadArgument, "the checkpoint holds float weights", module};
      break;
  }
  if (!read) return read.failure();
  return out;
}

Status add_stored_layer(StoredFormat stored, const std::string& module, const QuantizedLayer& layer,
                        SafetensorsWriter& writer) {
  const LayerWriter out(writer, module, layer);
  switch (stored) {
    case StoredFormat::fourge:
      return add_fourge(out);
    case StoredFormat::fp_quant:
      return add_fp_quant(out);
    case StoredFormat::compressed_tensors:
      return add_compressed_tensors(out);
    case StoredFormat::modelopt:
      return add_modelopt(out);
    case StoredFormat::none:
      break;
  }
  return {Error::kBadArgument, "expected a 4-bit format", module};
}

}  // namespace fourge::quant
