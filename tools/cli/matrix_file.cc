#include "tools/cli/matrix_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "quant/gguf_blocks.h"
#include "quant/nvfp4.h"
#include "quant/text.h"

namespace fourge::cli {
namespace {

using quant::DType;

struct Suffixes {
  Naming naming;
  const char* codes;
  const char* scales;
  const char* tensor_scale;  // null: none
  TensorScale::Direction direction;
};
constexpr auto kDecode = TensorScale::Direction::decode_multiplier;
constexpr auto kEncode = TensorScale::Direction::encode_multiplier;
constexpr Suffixes kSuffixes[] = {
    {Naming::fourge, ".codes", ".scales", ".encode_scale", kEncode},
    {Naming::fourge, ".codes", ".scales", ".decode_scale", kDecode},
    {Naming::compressed_tensors, ".weight_packed", ".weight_scale", ".weight_global_scale", kEncode},
    {Naming::modelopt, ".weight", ".weight_scale", ".weight_scale_2", kDecode},
    {Naming::fp_quant, ".qweight", ".scales", ".weight_global_scale", kEncode},
    {Naming::gpt_oss, "_blocks", "_scales", nullptr, kDecode},
};

const FileTensor* find_named(const TensorFile& file, const std::string& name) {
  for (const FileTensor& tensor : file.tensors())
    if (tensor.name == name) return &tensor;
  return nullptr;
}

std::string where_of(const FileTensor& tensor) {
  return fmt::format("tensor {}: {} {}", quant::in_quotes(tensor.name), tensor.format,
                     quant::shape_text(tensor.shape));
}

bool holds_codes(const FileTensor& tensor) { return tensor.dtype == DType::u8 || tensor.dtype == DType::f4; }
bool holds_scales(const FileTensor& tensor) {
  return tensor.dtype == DType::u8 || tensor.dtype == DType::f8_e4m3 || tensor.dtype == DType::f8_e8m0;
}

// Elements in a row: of [..., K / 32, 16] blocks with scales [..., K / 32], of rows of bytes, of F4.
std::int64_t columns_of(const FileTensor& codes, const FileTensor& scales) {
  const std::vector<std::int64_t>& shape = codes.shape;
  if (shape.empty()) return 0;
  if (codes.dtype == DType::f4) return shape.back();
  const bool blocks = shape.size() == scales.shape.size() + 1 && shape.back() == 16;
  return blocks && shape.size() >= 2 ? 2 * shape.back() * shape[shape.size() - 2] : 2 * shape.back();
}

bool scale_type_allows(DType dtype, Format format) {
  const bool ue4m3 = info(format).scale == ElementFormat::ue4m3;
  return dtype == DType::u8 || ue4m3 == (dtype == DType::f8_e4m3);
}

// The format that type and sizes allow. U8 scales of 16 elements each are taken for nvfp4's.
Result<Format> format_of(const FileTensor& codes, const FileTensor& scales, const ReadHints& hints,
                         std::int64_t rows, std::int64_t cols) {
  const ScaleLayout layout = hints.layout.value_or(ScaleLayout::linear);
  std::optional<Format> found;
  for (const Format format : kFormats) {
    const std::int64_t block = info(format).block;
    if (hints.format && format != *hints.format) continue;
    if (cols % block != 0 || !scale_type_allows(*scales.dtype, format)) continue;
    if (scale_bytes(layout, rows, cols / block) != static_cast<std::int64_t>(scales.bytes.size())) continue;
    const bool guess = format == Format::mxfp4_b16 && scales.dtype == DType::u8 && !hints.format;
    if (guess) continue;
    if (found && info(*found).block != info(format).block) {
      return {Error::kBadArgument,
              "padding hides whether 16 or 32 elements share a scale: give --from-format", where_of(scales)};
    }
    if (!found) found = format;
  }
  if (found) return *found;
  return {Error::kBadShape, "expected scales for blocks of 16 or 32 elements in the layout",
          fmt::format("{} beside {}, layout {}", where_of(scales), where_of(codes), name_of(layout))};
}

Result<float> scalar_of(const FileTensor& tensor) {
  float value = 0.0f;
  if (tensor.dtype != DType::f32 || tensor.elements() != 1)
    return {Error::kBadFile, "expected one F32: scales of other types lose bits silently", where_of(tensor)};
  std::memcpy(&value, tensor.bytes.data(), sizeof value);
  if (!(value > 0.0f) || !std::isfinite(value))
    return {Error::kBadFile, "expected a positive finite scale",
            fmt::format("{}: {}", where_of(tensor), value)};
  return value;
}

std::string metadata_of(const TensorFile& file, std::string_view key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return value;
  return {};
}

// What the file's metadata say, where no hint does.
Result<ReadHints> completed(const TensorFile& file, ReadHints hints) {
  const auto take =
      [&](const char* key, auto& hint,
          std::initializer_list<typename std::decay_t<decltype(hint)>::value_type> known) -> Status {
    const std::string value = metadata_of(file, key);
    if (hint || value.empty()) return {};
    for (const auto candidate : known)
      if (value == name_of(candidate)) hint = candidate;
    if (hint) return {};
    return {Error::kBadFile, "metadata of this name are ours, this value is not",
            fmt::format("{}: {} = {}", file.name(), key, quant::in_quotes(value))};
  };
  for (const Status& taken :
       {take("fourge.scale_layout", hints.layout,
             {ScaleLayout::linear, ScaleLayout::swizzled_128x4, ScaleLayout::swizzled_8x4}),
        take("fourge.nibbles", hints.nibbles,
             {NibbleOrder::low_first, NibbleOrder::high_first, NibbleOrder::halves}),
        take("fourge.format", hints.format, {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16})}) {
    if (!taken) return taken.failure();
  }
  return hints;
}

// The tensor scale that quantize-tensor's STEM.amax and the rule in its metadata give.
Result<TensorScale> scale_of_amax(const TensorFile& file, const FileTensor& amax, Format format) {
  const std::string rule = metadata_of(file, "fourge.scale_rule");
  const bool third = rule == "shift" || rule == "search";
  if (format != Format::nvfp4)
    return third ? TensorScale::encode_multiplier(3.0f) : TensorScale::decode_multiplier(1.0f);
  if (rule == "quest") return TensorScale::decode_multiplier(1.0f);
  const Result<float> value = scalar_of(amax);
  if (!value) return value.failure();
  for (const ScaleRule known : kNvfp4Rules) {
    if (rule != name_of(known)) continue;
    return TensorScale::decode_multiplier(quant::nvfp4_tensor_scale({.rule = known}, *value));
  }
  return {Error::kBadFile, "expected the rule in fourge.scale_rule of the metadata", where_of(amax)};
}

// STEM's tensor scale under one naming; 1 when there is none. `used`: the tensor it came from.
Result<TensorScale> tensor_scale_of(const TensorFile& file, const std::string& stem, Naming naming,
                                    Format format, std::string& used) {
  for (const Suffixes& suffixes : kSuffixes) {
    if (suffixes.naming != naming || suffixes.tensor_scale == nullptr) continue;
    const FileTensor* scale = find_named(file, stem + suffixes.tensor_scale);
    if (scale == nullptr) continue;
    used = scale->name;
    const Result<float> value = scalar_of(*scale);
    if (!value) return value.failure();
    return TensorScale{*value, suffixes.direction};
  }
  if (const FileTensor* amax = find_named(file, stem + ".amax");
      amax != nullptr && naming == Naming::fourge) {
    used = amax->name;
    return scale_of_amax(file, *amax, format);
  }
  return TensorScale{};
}

Result<bool> read_gguf_matrix(const TensorFile& file, const FileTensor& tensor, MatrixFile& content,
                              std::set<std::string>& used) {
  if (tensor.dtype) return false;
  const std::int64_t cols = tensor.shape.empty() ? 0 : tensor.shape.back();
  Result<QuantizedMatrix> matrix = quant::from_gguf_blocks(
      tensor.block_format, cols == 0 ? 0 : tensor.elements() / cols, cols, tensor.bytes);
  if (!matrix) return matrix.failure();
  constexpr std::string_view kWeight = ".weight";
  const bool weight = tensor.name.ends_with(kWeight);
  const std::string stem = weight ? tensor.name.substr(0, tensor.name.size() - kWeight.size()) : tensor.name;
  if (const FileTensor* scale = find_named(file, stem + ".scale"); scale != nullptr) {
    const Result<float> value = scalar_of(*scale);
    if (!value) return value.failure();
    matrix->tensor_scale = TensorScale::decode_multiplier(*value);
    used.insert(scale->name);
  }
  used.insert(tensor.name);
  content.matrices.push_back({stem, Naming::gguf, std::move(*matrix)});
  return true;
}

}  // namespace

void change_nibbles(NibbleOrder from, NibbleOrder to, Format format, std::vector<std::uint8_t>& codes) {
  const auto swap = [&codes] {
    for (std::uint8_t& byte : codes) byte = static_cast<std::uint8_t>(byte << 4 | byte >> 4);
  };
  const auto each_block = [&](auto convert) {
    const std::int64_t block = info(format).block;
    std::vector<std::uint8_t> run(static_cast<std::size_t>(block / 2));
    for (std::size_t at = 0; at < codes.size(); at += run.size()) {
      std::copy_n(codes.begin() + static_cast<std::ptrdiff_t>(at), run.size(), run.begin());
      convert(run.data(), codes.data() + at, block);
    }
  };
  if (from == to) return;
  if (from == NibbleOrder::high_first) swap();
  if (from == NibbleOrder::halves) each_block(quant::halves_to_interleaved);
  if (to == NibbleOrder::high_first) swap();
  if (to == NibbleOrder::halves) each_block(quant::interleaved_to_halves);
}

Result<QuantizedMatrix> matrix_from(const FileTensor& codes, const FileTensor& scales,
                                    const ReadHints& hints) {
  if (!holds_codes(codes) || !holds_scales(scales)) {
    return {Error::kUnsupportedFormat, "expected U8 or F4 codes and U8, F8_E4M3 or F8_E8M0 scales",
            where_of(codes) + ", " + where_of(scales)};
  }
  const std::int64_t cols = columns_of(codes, scales);
  const auto elements = 2 * static_cast<std::int64_t>(codes.bytes.size());
  if (cols == 0 || elements % cols != 0) return {Error::kBadShape, "expected rows of codes", where_of(codes)};
  const Result<Format> format = format_of(codes, scales, hints, elements / cols, cols);
  if (!format) return format.failure();
  QuantizedMatrix matrix;
  matrix.format = *format;
  matrix.rows = elements / cols;
  matrix.cols = cols;
  matrix.codes.assign(codes.bytes.begin(), codes.bytes.end());
  change_nibbles(hints.nibbles.value_or(NibbleOrder::low_first), NibbleOrder::low_first, *format,
                 matrix.codes);
  matrix.scales.resize(static_cast<std::size_t>(matrix.rows * matrix.scale_cols()));
  convert_scales(hints.layout.value_or(ScaleLayout::linear), scales.bytes.data(), ScaleLayout::linear,
                 matrix.scales.data(), matrix.rows, matrix.scale_cols());
  return matrix;
}

Result<MatrixFile> read_matrices(const TensorFile& file, const ReadHints& given) {
  const Result<ReadHints> hints = completed(file, given);
  if (!hints) return hints.failure();
  MatrixFile content;
  std::set<std::string> used;
  for (const FileTensor& tensor : file.tensors()) {
    const Result<bool> blocks = read_gguf_matrix(file, tensor, content, used);
    if (!blocks) return blocks.failure();
    if (*blocks) continue;
    for (const Suffixes& suffixes : kSuffixes) {
      if (!tensor.name.ends_with(suffixes.codes) || !holds_codes(tensor)) continue;
      const std::string stem = tensor.name.substr(0, tensor.name.size() - std::strlen(suffixes.codes));
      const FileTensor* scales = find_named(file, stem + suffixes.scales);
      if (scales == nullptr || !holds_scales(*scales)) continue;
      Result<QuantizedMatrix> matrix = matrix_from(tensor, *scales, *hints);
      if (!matrix) return matrix.failure();
      std::string scale_name;
      const Result<TensorScale> scale =
          tensor_scale_of(file, stem, suffixes.naming, matrix->format, scale_name);
      if (!scale) return scale.failure();
      matrix->tensor_scale = *scale;
      used.insert({tensor.name, scales->name, scale_name});
      content.matrices.push_back({stem, suffixes.naming, std::move(*matrix)});
      break;
    }
  }
  for (const FileTensor& tensor : file.tensors())
    if (!used.contains(tensor.name)) content.plain.push_back(tensor);
  return content;
}

}  // namespace fourge::cli
