// write_matrices().
#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "fourge/quantize.h"
#include "jit/element_io.h"
#include "quant/gguf_blocks.h"
#include "quant/text.h"
#include "tools/cli/matrix_file.h"

namespace fourge::cli {
namespace {

using quant::DType;

std::vector<std::uint8_t> bytes_of(float value) {
  std::vector<std::uint8_t> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// One tensor on its way out.
struct OutTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> bytes;
  std::optional<quant::GgmlType> blocks;  // GGUF only
};

ElementFormat element_of(DType dtype) {
  return dtype == DType::f32   ? ElementFormat::f32
         : dtype == DType::f16 ? ElementFormat::f16
                               : ElementFormat::bf16;
}

OutTensor stored_as(std::string name, DType dtype, std::vector<std::int64_t> shape,
                    const std::vector<float>& values) {
  OutTensor out{std::move(name), dtype, std::move(shape), {}, {}};
  const ElementFormat element = element_of(dtype);
  out.bytes.resize(values.size() * static_cast<std::size_t>(jit::plain_bytes(element)));
  jit::store_elements(element, values.data(), static_cast<std::int64_t>(values.size()), out.bytes.data());
  return out;
}

class Writer {
 public:
  Writer(const WriteOptions& options, std::string extension)
      : options_(options), gguf_(extension == ".gguf") {}

  Status add(const NamedMatrix& named) {
    if (!options_.naming) return add_decoded(named);
    if (const char* reason = refusal(named.matrix)) {
      return {Error::kUnsupportedFormat, reason,
              fmt::format("{}: {} with tensor scale {:g}", quant::in_quotes(named.stem),
                          name_of(named.matrix.format), named.matrix.tensor_scale.as_decode_multiplier())};
    }
    return *options_.naming == Naming::gguf ? add_blocks(named) : add_parts(named);
  }

  Status add(const FileTensor& tensor) {
    const bool has_type =
        tensor.dtype == DType::f32 || tensor.dtype == DType::f16 || tensor.dtype == DType::bf16;
    const std::optional<DType> dtype = options_.dtype       ? options_.dtype
                                       : gguf_ && !has_type ? std::optional(DType::f32)
                                                            : tensor.dtype;
    if (dtype == tensor.dtype) {
      out_.push_back(
          {tensor.name, *tensor.dtype, tensor.shape, {tensor.bytes.begin(), tensor.bytes.end()}, {}});
      return {};
    }
    const Result<std::vector<float>> values = values_of(tensor);
    if (!values) return values.failure();
    out_.push_back(stored_as(tensor.name, *dtype, tensor.shape, *values));
    return {};
  }

  std::vector<OutTensor>& tensors() { return out_; }

 private:
  // Why a naming cannot hold the matrix; null when it can.
  const char* refusal(const QuantizedMatrix& matrix) const {
    const bool plain = matrix.tensor_scale.value == 1.0f;
    switch (*options_.naming) {
      case Naming::fourge:
        return nullptr;
      case Naming::compressed_tensors:
        return matrix.format == Format::nvfp4 ? nullptr
               : matrix.format == Format::mxfp4 && plain
                   ? nullptr
                   : "compressed-tensors holds nvfp4, and mxfp4 without a tensor scale";
      case Naming::modelopt:
        return matrix.format == Format::nvfp4 ? nullptr : "modelopt holds nvfp4";
      case Naming::fp_quant:
        return matrix.format == Format::nvfp4 ||
                       (matrix.format == Format::mxfp4 && matrix.tensor_scale.as_encode_multiplier() == 3.0f)
                   ? nullptr
                   : "fp-quant holds nvfp4, and mxfp4 with the tensor scale 1 / 3";
      case Naming::gpt_oss:
        return matrix.format == Format::mxfp4 && plain ? nullptr
                                                       : "gpt-oss holds mxfp4 without a tensor scale";
      case Naming::gguf:
        return matrix.format == Format::nvfp4 || (matrix.format == Format::mxfp4 && plain)
                   ? nullptr
                   : "gguf holds nvfp4, and mxfp4 without a tensor scale";
    }
    return nullptr;
  }

  Status add_decoded(const NamedMatrix& named) {
    std::vector<float> values(static_cast<std::size_t>(named.matrix.rows * named.matrix.cols));
    if (const Status decoded = dequantize(named.matrix.view(), values); !decoded) return decoded;
    out_.push_back(stored_as(named.stem + ".weight", options_.dtype.value_or(DType::f32),
                             {named.matrix.rows, named.matrix.cols}, values));
    return {};
  }

  Status add_blocks(const NamedMatrix& named) {
    const QuantizedMatrix& m = named.matrix;
    Result<std::vector<std::uint8_t>> blocks = quant::to_gguf_blocks(m.view());
    if (!blocks) return {blocks.error(), blocks.failure().reason, quant::in_quotes(named.stem)};
    const bool nv = m.format == Format::nvfp4;
    out_.push_back({named.stem + ".weight",
                    DType::u8,
                    {m.rows, m.cols},
                    std::move(*blocks),
                    nv ? quant::GgmlType::nvfp4 : quant::GgmlType::mxfp4});
    if (nv) add_scalar(named.stem + ".scale", m.tensor_scale.as_decode_multiplier(), {1});
    return {};
  }

  Status add_parts(const NamedMatrix& named) {
    const QuantizedMatrix& m = named.matrix;
    const TensorScale& scale = m.tensor_scale;
    const bool nv = m.format == Format::nvfp4;
    const DType typed = nv ? DType::f8_e4m3 : DType::u8;
    switch (*options_.naming) {
      case Naming::fourge: {
        const auto direction = options_.direction.value_or(scale.direction);
        add_pair(named, ".codes", ".scales", DType::u8);
        direction == TensorScale::Direction::encode_multiplier
            ? add_scalar(named.stem + ".encode_scale", scale.as_encode_multiplier(), {1})
            : add_scalar(named.stem + ".decode_scale", scale.as_decode_multiplier(), {1});
        break;
      }
      case Naming::compressed_tensors:
        add_pair(named, ".weight_packed", ".weight_scale", typed);
        if (nv) add_scalar(named.stem + ".weight_global_scale", scale.as_encode_multiplier(), {1});
        break;
      case Naming::modelopt:
        add_pair(named, ".weight", ".weight_scale", typed);
        add_scalar(named.stem + ".weight_scale_2", scale.as_decode_multiplier(), {});
        break;
      case Naming::fp_quant:
        add_pair(named, ".qweight", ".scales", DType::u8);
        add_scalar(named.stem + ".weight_global_scale", scale.as_encode_multiplier(), {1});
        break;
      case Naming::gpt_oss:
        add_pair(named, "_blocks", "_scales", DType::u8);
        out_[out_.size() - 2].shape = {m.rows, m.cols / 32, 16};
        break;
      case Naming::gguf:
        break;
    }
    return {};
  }

  void add_pair(const NamedMatrix& named, const char* codes, const char* scales, DType scale_type) {
    const QuantizedMatrix& m = named.matrix;
    OutTensor c{named.stem + codes, DType::u8, {m.rows, m.cols / 2}, m.codes, {}};
    change_nibbles(NibbleOrder::low_first, options_.nibbles, m.format, c.bytes);
    const std::int64_t rows = padded_scale_rows(options_.layout, m.rows),
                       cols = padded_scale_columns(options_.layout, m.scale_cols());
    OutTensor s{named.stem + scales, scale_type, {rows, cols}, {}, {}};
    s.bytes.resize(static_cast<std::size_t>(rows * cols));
    convert_scales(ScaleLayout::linear, m.scales.data(), options_.layout, s.bytes.data(), m.rows,
                   m.scale_cols());
    out_.push_back(std::move(c));
    out_.push_back(std::move(s));
  }
  void add_scalar(std::string name, float value, std::vector<std::int64_t> shape) {
    out_.push_back({std::move(name), DType::f32, std::move(shape), bytes_of(value), {}});
  }

  const WriteOptions& options_;
  bool gguf_;
  std::vector<OutTensor> out_;
};

Status write_safetensors(std::vector<OutTensor>& tensors, const MatrixFile& content,
                         const WriteOptions& options) {
  quant::SafetensorsWriter writer;
  for (OutTensor& tensor : tensors) {
    const Status added = writer.add_owned(std::move(tensor.name), tensor.dtype, std::move(tensor.shape),
                                          std::move(tensor.bytes));
    if (!added) return added;
  }
  const bool same_format =
      std::all_of(content.matrices.begin(), content.matrices.end(), [&](const NamedMatrix& named) {
        return named.matrix.format == content.matrices.front().matrix.format;
      });
  if (options.naming == Naming::fourge && !content.matrices.empty()) {
    if (Status added = writer.add_metadata("fourge.scale_layout", name_of(options.layout)); !added)
      return added;
    if (Status added = writer.add_metadata("fourge.nibbles", name_of(options.nibbles)); !added) return added;
    if (same_format) {
      Status added = writer.add_metadata("fourge.format", name_of(content.matrices.front().matrix.format));
      if (!added) return added;
    }
  }
  return writer.write(options.output);
}

Status write_gguf(std::vector<OutTensor>& tensors, const WriteOptions& options) {
  quant::GgufWriter writer;
  writer.add_metadata("general.architecture", std::string("fourge"));
  for (OutTensor& tensor : tensors) {
    const quant::GgmlType type = tensor.blocks                ? *tensor.blocks
                                 : tensor.dtype == DType::f32 ? quant::GgmlType::f32
                                 : tensor.dtype == DType::f16 ? quant::GgmlType::f16
                                                              : quant::GgmlType::bf16;
    writer.add_tensor(std::move(tensor.name), type, std::move(tensor.shape), std::move(tensor.bytes));
  }
  return writer.write(options.output);
}

}  // namespace

Status write_matrices(const MatrixFile& content, const WriteOptions& options) {
  const std::string extension = options.output.extension().string();
  const std::string where = quant::printable(options.output.string());
  if (extension != ".safetensors" && extension != ".gguf" && extension != ".npy")
    return {Error::kBadArgument, "expected a name ending in .safetensors, .gguf or .npy", where};
  if (options.naming && (*options.naming == Naming::gguf) != (extension == ".gguf"))
    return {Error::kBadArgument, "--as gguf and a name ending in .gguf go together", where};
  Writer writer(options, extension);
  for (const NamedMatrix& named : content.matrices)
    if (Status added = writer.add(named); !added) return added;
  for (const FileTensor& tensor : content.plain)
    if (Status added = writer.add(tensor); !added) return added;
  std::vector<OutTensor>& tensors = writer.tensors();
  if (tensors.empty()) return {Error::kBadArgument, "expected at least one tensor", where};
  if (extension == ".gguf") return write_gguf(tensors, options);
  if (extension == ".safetensors") return write_safetensors(tensors, content, options);
  if (tensors.size() != 1) {
    return {Error::kBadArgument, "a .npy file holds one array: decode (--as f32) and choose it with --tensor",
            fmt::format("{}: {} tensors", where, tensors.size())};
  }
  return quant::write_npy(options.output, tensors[0].dtype, tensors[0].shape, tensors[0].bytes);
}

}  // namespace fourge::cli
