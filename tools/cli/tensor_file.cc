#include "tools/cli/tensor_file.h"

#include <fmt/core.h>

#include <cstring>
#include <fstream>

#include "fourge/quantize.h"
#include "quant/text.h"

namespace fourge::cli {
namespace {

const char* name_of_ggml(quant::GgmlType type) {
  switch (type) {
    case quant::GgmlType::f32:
      return "F32";
    case quant::GgmlType::f16:
      return "F16";
    case quant::GgmlType::bf16:
      return "BF16";
    case quant::GgmlType::mxfp4:
      return "MXFP4";
    case quant::GgmlType::nvfp4:
      return "NVFP4";
  }
  return "";
}

std::optional<quant::DType> dtype_of(quant::GgmlType type) {
  switch (type) {
    case quant::GgmlType::f32:
      return quant::DType::f32;
    case quant::GgmlType::f16:
      return quant::DType::f16;
    case quant::GgmlType::bf16:
      return quant::DType::bf16;
    default:
      return std::nullopt;
  }
}

template <class Integer>
void widen(std::span<const std::uint8_t> bytes, std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Integer value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    values[i] = static_cast<float>(value);
  }
}

// False: not an integer type.
bool integers_to_f32(quant::DType dtype, std::span<const std::uint8_t> bytes, std::vector<float>& values) {
  switch (dtype) {
    case quant::DType::boolean:
    case quant::DType::u8:
      return widen<std::uint8_t>(bytes, values), true;
    case quant::DType::i8:
      return widen<std::int8_t>(bytes, values), true;
    case quant::DType::u16:
      return widen<std::uint16_t>(bytes, values), true;
    case quant::DType::i16:
      return widen<std::int16_t>(bytes, values), true;
    case quant::DType::u32:
      return widen<std::uint32_t>(bytes, values), true;
    case quant::DType::i32:
      return widen<std::int32_t>(bytes, values), true;
    case quant::DType::u64:
      return widen<std::uint64_t>(bytes, values), true;
    case quant::DType::i64:
      return widen<std::int64_t>(bytes, values), true;
    default:
      return false;
  }
}

Result<QuantizedMatrix> matrix_of(const FileTensor& tensor) {
  const std::int64_t cols = tensor.shape.empty() ? 0 : tensor.shape.back();
  const std::int64_t rows = cols == 0 ? 0 : tensor.elements() / cols;
  return quant::from_gguf_blocks(tensor.block_format, rows, cols, tensor.bytes);
}

// NAME of NAME.scales, NAME_scales, NAME.weight_scale; none when the name is not one of scales.
struct Sibling {
  const char* scales;
  const char* codes;
};
constexpr Sibling kSiblings[] = {
    {".scales", ".codes"},      {"_scales", "_blocks"},  {"weight_scale", "weight_packed"},
    {"weight_scale", "weight"}, {".scales", ".qweight"},
};

const FileTensor* find_named(const TensorFile& file, const std::string& name) {
  for (const FileTensor& tensor : file.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// The tensor beside this one: `mine` at the end of its name replaced by `theirs`.
const FileTensor* beside(const TensorFile& file, const FileTensor& tensor, std::string_view mine,
                         std::string_view theirs) {
  if (!tensor.name.ends_with(mine)) return nullptr;
  return find_named(file, tensor.name.substr(0, tensor.name.size() - mine.size()) + std::string(theirs));
}

bool holds_bytes(const FileTensor& tensor) {
  return tensor.dtype == quant::DType::u8 || tensor.dtype == quant::DType::f4;
}

// Elements to a scale, when the two can belong together.
std::int64_t block_of(const FileTensor& codes, const FileTensor& scales) {
  const auto count = static_cast<std::int64_t>(scales.bytes.size());
  const auto elements = 2 * static_cast<std::int64_t>(codes.bytes.size());
  return count == 0 || elements % count != 0 ? 0 : elements / count;
}

}  // namespace

Result<TensorFile> TensorFile::open(const std::filesystem::path& path) {
  char magic[6] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  TensorFile file;
  file.name_ = path.string();
  const auto take = [&file](auto opened) -> Status {
    if (!opened) return opened.failure();
    file.list(*opened);
    file.file_ = std::move(*opened);
    return {};
  };
  const Status opened = std::memcmp(magic, "GGUF", 4) == 0        ? take(quant::GgufFile::open(path))
                        : std::memcmp(magic, "\x93NUMPY", 6) == 0 ? take(quant::NpyFile::open(path))
                                                                  : take(quant::Safetensors::open(path));
  if (!opened) return opened.failure();
  return file;
}

const char* TensorFile::kind() const {
  return std::holds_alternative<quant::GgufFile>(file_)  ? "gguf"
         : std::holds_alternative<quant::NpyFile>(file_) ? "npy"
                                                         : "safetensors";
}

void TensorFile::list(const quant::Safetensors& file) {
  for (const quant::Tensor& tensor : file.tensors()) {
    tensors_.push_back({tensor.name, std::string(quant::name_of(tensor.dtype)), tensor.dtype, Format::nvfp4,
                        tensor.shape, tensor.bytes});
  }
  for (const auto& [key, value] : file.metadata()) metadata_.emplace_back(key, value);
}

void TensorFile::list(const quant::GgufFile& file) {
  for (const auto& [name, tensor] : file.tensors()) {
    tensors_.push_back({name, name_of_ggml(tensor.type), dtype_of(tensor.type),
                        tensor.type == quant::GgmlType::mxfp4 ? Format::mxfp4 : Format::nvfp4, tensor.shape,
                        tensor.bytes});
  }
  for (const auto& [key, value] : file.metadata()) {
    const auto text = [](const auto& v) -> std::string {
      if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>) {
        return v;
      } else {
        return fmt::format("{}", v);
      }
    };
    metadata_.emplace_back(key, std::visit(text, value));
  }
}

void TensorFile::list(const quant::NpyFile& file) {
  tensors_.push_back({std::filesystem::path(name_).stem().string(), std::string(quant::name_of(file.dtype())),
                      file.dtype(), Format::nvfp4, file.shape(), file.bytes()});
}

Result<FileTensor> TensorFile::find(const std::string& name) const {
  if (const FileTensor* tensor = find_named(*this, name)) return *tensor;
  std::string where = name_ + ": no tensor " + quant::in_quotes(name);
  if (!tensors_.empty())
    where += fmt::format(" among {}, the first is {}", tensors_.size(), quant::in_quotes(tensors_[0].name));
  return {Error::kNotFound, "expected a tensor of the file", where};
}

Result<std::vector<float>> values_of(const FileTensor& tensor) {
  if (tensor.dtype.has_value()) {
    if (*tensor.dtype != quant::DType::boolean) {
      const quant::Tensor stored{tensor.name, *tensor.dtype, tensor.shape, tensor.bytes};
      Result<std::vector<float>> values = quant::tensor_to_f32(stored);
      if (values || values.error() != Error::kUnsupportedFormat) return values;
    }
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    if (integers_to_f32(*tensor.dtype, tensor.bytes, values)) return values;
    return {Error::kUnsupportedFormat, "no values for this type", tensor.name + ": " + tensor.format};
  }
  const Result<QuantizedMatrix> matrix = matrix_of(tensor);
  if (!matrix) return matrix.failure();
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  if (const Status decoded = dequantize(matrix->view(), values); !decoded) return decoded.failure();
  return values;
}

std::optional<Scales> scales_of(const TensorFile& file, const FileTensor& tensor) {
  if (!tensor.dtype.has_value()) {
    const Result<QuantizedMatrix> matrix = matrix_of(tensor);
    if (!matrix) return std::nullopt;
    return Scales{info(tensor.block_format).scale, matrix->scales};
  }
  const std::vector<std::uint8_t> bytes(tensor.bytes.begin(), tensor.bytes.end());
  if (tensor.dtype == quant::DType::f8_e8m0) return Scales{ElementFormat::ue8m0, bytes};
  if (tensor.dtype != quant::DType::u8 && tensor.dtype != quant::DType::f8_e4m3) return std::nullopt;
  for (const Sibling& sibling : kSiblings) {
    const FileTensor* codes = beside(file, tensor, sibling.scales, sibling.codes);
    if (codes == nullptr || !holds_bytes(*codes)) continue;
    const std::int64_t block = block_of(*codes, tensor);
    if (block != 16 && block != 32) continue;
    if (tensor.dtype == quant::DType::f8_e4m3) return Scales{ElementFormat::ue4m3, bytes};
    bool ue8m0 = block == 32;
    for (const auto& [key, value] : file.metadata())
      ue8m0 = ue8m0 || (key == "fourge.format" && value == name_of(Format::mxfp4_b16));
    return Scales{ue8m0 ? ElementFormat::ue8m0 : ElementFormat::ue4m3, bytes};
  }
  return std::nullopt;
}

std::optional<std::vector<std::uint8_t>> codes_of(const TensorFile& file, const FileTensor& tensor) {
  if (!tensor.dtype.has_value()) {
    const Result<QuantizedMatrix> matrix = matrix_of(tensor);
    if (!matrix) return std::nullopt;
    return matrix->codes;
  }
  const std::vector<std::uint8_t> bytes(tensor.bytes.begin(), tensor.bytes.end());
  if (tensor.dtype == quant::DType::f4) return bytes;
  if (tensor.dtype != quant::DType::u8) return std::nullopt;
  for (const Sibling& sibling : kSiblings) {
    const FileTensor* scales = beside(file, tensor, sibling.codes, sibling.scales);
    if (scales != nullptr && scales_of(file, *scales).has_value()) return bytes;
  }
  return std::nullopt;
}

}  // namespace fourge::cli
