#include "quant/export/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "quant/atomic_file.h"
#include "quant/dtype.h"
#include "quant/text.h"

namespace fourge::quant {

static_assert(std::endian::native == std::endian::little);

namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMostEntries = 1 << 20;
constexpr std::uint64_t kLongestString = 1 << 26;

enum class GgufType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

struct TypeInfo {
  GgmlType type;
  std::int64_t block;  // elements
  std::int64_t bytes;  // of a block
};
constexpr std::array<TypeInfo, 5> kTypes = {{{GgmlType::f32, 1, 4},
                                             {GgmlType::f16, 1, 2},
                                             {GgmlType::bf16, 1, 2},
                                             {GgmlType::mxfp4, 32, 17},
                                             {GgmlType::nvfp4, 64, 36}}};
std::optional<TypeInfo> info_of(std::uint32_t type) {
  for (const TypeInfo& row : kTypes)
    if (static_cast<std::uint32_t>(row.type) == type) return row;
  return std::nullopt;
}

int bytes_of(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    default:
      return 0;
  }
}

}  // namespace

/// Reads forward; the first failure sticks and later reads give zeros.
class GgufParser {
 public:
  GgufParser(std::span<const std::uint8_t> bytes, GgufFile& out) : bytes_(bytes), out_(out) {}

  Status parse() {
    if (bytes_.size() < 24 || std::memcmp(bytes_.data(), "GGUF", 4) != 0)
      return {Error::kBadFile, "expected the letters GGUF", out_.name_};
    at_ = 4;
    if (const auto version = read<std::uint32_t>(); version != kVersion)
      return {Error::kUnsupportedFormat, "expected GGUF version 3",
              out_.name_ + ": " + std::to_string(version)};
    const auto tensors = read<std::uint64_t>(), values = read<std::uint64_t>();
    if (tensors > kMostEntries || values > kMostEntries) fail("absurd numbers of entries");
    for (std::uint64_t i = 0; i < values && status_; ++i) read_value();
    for (std::uint64_t i = 0; i < tensors && status_; ++i) read_tensor_info();
    if (status_) place_tensors();
    return status_;
  }

 private:
  struct Placed {
    GgufTensor tensor;
    std::uint64_t offset, size;
  };

  template <class T>
  T read() {
    T value{};
    if (bytes_.size() - at_ < sizeof(T)) {
      fail("the file ends inside its header");
      return value;
    }
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  std::string read_string() {
    const auto length = read<std::uint64_t>();
    if (length > kLongestString || length > bytes_.size() - at_) {
      fail("a string is longer than the file");
      return {};
    }
    std::string text(reinterpret_cast<const char*>(bytes_.data() + at_), length);
    at_ += length;
    return text;
  }
  void fail(const char* reason) {
    if (status_) status_ = Status(Error::kBadFile, reason, out_.name_ + ": offset " + std::to_string(at_));
  }

  void read_value() {
    const std::string key = read_string();
    const auto type = static_cast<GgufType>(read<std::uint32_t>());
    switch (type) {
      case GgufType::string:
        out_.metadata_[key] = read_string();
        return;
      case GgufType::boolean:
        out_.metadata_[key] = read<std::uint8_t>() != 0;
        return;
      case GgufType::f32:
        out_.metadata_[key] = static_cast<double>(read<float>());
        return;
      case GgufType::f64:
        out_.metadata_[key] = read<double>();
        return;
      case GgufType::array:
        skip_array(0);
        return;
      default:
        read_integer(key, type);
    }
  }
  void read_integer(const std::string& key, GgufType type) {
    switch (bytes_of(type)) {
      case 1:
        out_.metadata_[key] = std::uint64_t{read<std::uint8_t>()};
        return;
      case 2:
        out_.metadata_[key] = std::uint64_t{read<std::uint16_t>()};
        return;
      case 4:
        out_.metadata_[key] = std::uint64_t{read<std::uint32_t>()};
        return;
      case 8:
        out_.metadata_[key] = read<std::uint64_t>();
        return;
      default:
        fail("unknown type of a metadata value");
    }
  }
  void skip_array(int depth) {
    const auto type = static_cast<GgufType>(read<std::uint32_t>());
    const auto count = read<std::uint64_t>();
    if (depth > 4 || count > bytes_.size()) return fail("an array is longer than the file");
    if (const int size = bytes_of(type); size > 0) {
      if (count > (bytes_.size() - at_) / static_cast<std::uint64_t>(size))
        return fail("an array is longer than the file");
      at_ += count * static_cast<std::uint64_t>(size);
      return;
    }
    for (std::uint64_t i = 0; i < count && status_; ++i) {
      if (type == GgufType::string) {
        read_string();
      } else if (type == GgufType::array) {
        skip_array(depth + 1);
      } else {
        fail("unknown type of an array");
      }
    }
  }

  void read_tensor_info() {
    Placed placed{};
    placed.tensor.name = read_string();
    const auto dimensions = read<std::uint32_t>();
    if (dimensions < 1 || dimensions > 4) return fail("expected 1 to 4 dimensions");
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const auto extent = read<std::uint64_t>();
      if (extent > std::uint64_t{1} << 40) return fail("a dimension is absurd");
      placed.tensor.shape.insert(placed.tensor.shape.begin(), static_cast<std::int64_t>(extent));
    }
    const std::optional<TypeInfo> type = info_of(read<std::uint32_t>());
    placed.offset = read<std::uint64_t>();
    if (!status_) return;
    const std::string where = out_.name_ + ": tensor " + in_quotes(placed.tensor.name);
    if (!type) {
      status_ = Status(Error::kUnsupportedFormat, "expected F32, F16, BF16, MXFP4 or NVFP4", where);
      return;
    }
    placed.tensor.type = type->type;
    const std::optional<std::int64_t> count = element_count(placed.tensor.shape);
    if (!count || placed.tensor.shape.back() % type->block != 0) {
      status_ = Status(Error::kBadFile, "expected whole blocks in each row",
                       where + ": " + shape_text(placed.tensor.shape));
      return;
    }
    const std::int64_t blocks = *count / type->block;
    if (blocks > static_cast<std::int64_t>(bytes_.size()) / type->bytes) {
      status_ = Status(Error::kBadFile, "the tensor lies beyond the end of the file", where);
      return;
    }
    placed.size = static_cast<std::uint64_t>(blocks * type->bytes);
    placed_.push_back(std::move(placed));
  }

  std::uint64_t alignment() const {
    const auto found = out_.metadata_.find("general.alignment");
    if (found == out_.metadata_.end()) return kDefaultAlignment;
    const auto* value = std::get_if<std::uint64_t>(&found->second);
    return value == nullptr || *value == 0 || *value > 1 << 20 || !std::has_single_bit(*value) ? 0 : *value;
  }

  void place_tensors() {
    const std::uint64_t align = alignment();
    if (align == 0) return fail("general.alignment is not a power of two");
    const std::uint64_t data = (at_ + align - 1) / align * align;
    if (data > bytes_.size() && !placed_.empty()) return fail("the file ends before its tensors");
    std::sort(placed_.begin(), placed_.end(),
              [](const Placed& a, const Placed& b) { return a.offset < b.offset; });
    std::uint64_t end = 0;
    for (Placed& placed : placed_) {
      const std::string where = out_.name_ + ": tensor " + in_quotes(placed.tensor.name);
      if (placed.offset % align != 0 || placed.offset < end) {
        status_ = Status(Error::kBadFile, "the tensor overlaps another or is not aligned", where);
        return;
      }
      if (placed.offset > bytes_.size() - data || placed.size > bytes_.size() - data - placed.offset) {
        status_ = Status(Error::kBadFile, "the tensor lies beyond the end of the file", where);
        return;
      }
      end = placed.offset + placed.size;
      placed.tensor.bytes = bytes_.subspan(data + placed.offset, placed.size);
      const std::string name = placed.tensor.name;
      if (!out_.tensors_.emplace(name, std::move(placed.tensor)).second) {
        status_ = Status(Error::kBadFile, "two tensors have this name", where);
        return;
      }
    }
  }

  std::span<const std::uint8_t> bytes_;
  GgufFile& out_;
  std::uint64_t at_ = 0;
  Status status_;
  std::vector<Placed> placed_;
};

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  Result<MappedFile> mapped = MappedFile::open(path);
  if (!mapped) return mapped.failure();
  GgufFile file;
  file.name_ = printable(path.string());
  file.file_ = std::move(*mapped);
  if (Status parsed = GgufParser(file.file_.bytes(), file).parse(); !parsed) return parsed.failure();
  return file;
}

Result<GgufFile> GgufFile::parse(std::span<const std::uint8_t> bytes, std::string name) {
  GgufFile file;
  file.name_ = std::move(name);
  if (Status parsed = GgufParser(bytes, file).parse(); !parsed) return parsed.failure();
  return file;
}

Result<GgufTensor> GgufFile::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  return {Error::kNotFound, "the file lacks this tensor", name_ + ": tensor " + in_quotes(name)};
}

Result<std::int64_t> GgufFile::integer(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    return {Error::kNotFound, "the file lacks this metadata", name_ + ": " + std::string(key)};
  const auto* value = std::get_if<std::uint64_t>(&found->second);
  if (value == nullptr || *value > std::uint64_t{1} << 40)
    return {Error::kBadFile, "expected a whole number", name_ + ": " + std::string(key)};
  return static_cast<std::int64_t>(*value);
}

Result<double> GgufFile::number(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    return {Error::kNotFound, "the file lacks this metadata", name_ + ": " + std::string(key)};
  const auto* value = std::get_if<double>(&found->second);
  if (value == nullptr) return {Error::kBadFile, "expected a number", name_ + ": " + std::string(key)};
  return *value;
}

Result<std::string> GgufFile::text(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    return {Error::kNotFound, "the file lacks this metadata", name_ + ": " + std::string(key)};
  const auto* value = std::get_if<std::string>(&found->second);
  if (value == nullptr) return {Error::kBadFile, "expected text", name_ + ": " + std::string(key)};
  return *value;
}

namespace {

/// Little-endian values appended to bytes.
class Appender {
 public:
  template <class T>
  void add(T value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  void add_string(const std::string& text) {
    add(static_cast<std::uint64_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  void pad(std::uint64_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

void add_value(Appender& out, const GgufValue& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) {
    out.add(static_cast<std::uint32_t>(GgufType::u64));
    out.add(*number);
  } else if (const auto* real = std::get_if<double>(&value)) {
    out.add(static_cast<std::uint32_t>(GgufType::f64));
    out.add(*real);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    out.add(static_cast<std::uint32_t>(GgufType::string));
    out.add_string(*text);
  } else {
    out.add(static_cast<std::uint32_t>(GgufType::boolean));
    out.add(static_cast<std::uint8_t>(std::get<bool>(value) ? 1 : 0));
  }
}

}  // namespace

void GgufWriter::add_tensor(std::string name, GgmlType type, std::vector<std::int64_t> shape,
                            std::vector<std::uint8_t> bytes) {
  tensors_.push_back({{std::move(name), type, std::move(shape), {}}, std::move(bytes)});
}

Status GgufWriter::write(const std::filesystem::path& path) const {
  Appender header;
  for (const char c : std::string_view("GGUF")) header.add(c);
  header.add(kVersion);
  header.add(static_cast<std::uint64_t>(tensors_.size()));
  header.add(static_cast<std::uint64_t>(metadata_.size() + small_.size() + floats_.size()));
  for (const auto& [key, value] : metadata_) {
    header.add_string(key);
    add_value(header, value);
  }
  for (const auto& [key, value] : small_) {
    header.add_string(key);
    header.add(static_cast<std::uint32_t>(GgufType::u32));
    header.add(value);
  }
  for (const auto& [key, value] : floats_) {
    header.add_string(key);
    header.add(static_cast<std::uint32_t>(GgufType::f32));
    header.add(value);
  }
  std::uint64_t offset = 0;
  for (const auto& [tensor, bytes] : tensors_) {
    header.add_string(tensor.name);
    header.add(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent)
      header.add(static_cast<std::uint64_t>(*extent));
    header.add(static_cast<std::uint32_t>(tensor.type));
    header.add(offset);
    offset += (bytes.size() + kDefaultAlignment - 1) / kDefaultAlignment * kDefaultAlignment;
  }
  header.pad(kDefaultAlignment);

  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.failure();
  if (Status written = file->write(header.bytes()); !written) return written;
  const std::vector<std::uint8_t> zeros(kDefaultAlignment);
  for (const auto& [tensor, bytes] : tensors_) {
    if (Status written = file->write(bytes); !written) return written;
    const std::size_t rest = bytes.size() % kDefaultAlignment;
    if (rest == 0) continue;
    if (Status written = file->write(std::span(zeros).first(kDefaultAlignment - rest)); !written)
      return written;
  }
  return file->commit();
}

Result<QuantizedMatrix> from_gguf_blocks(const GgufTensor& tensor) {
  const bool nv = tensor.type == GgmlType::nvfp4;
  if (!nv && tensor.type != GgmlType::mxfp4)
    return {Error::kUnsupportedFormat, "expected an MXFP4 or NVFP4 tensor", in_quotes(tensor.name)};
  if (tensor.shape.size() != 2) return {Error::kBadShape, "expected a matrix", in_quotes(tensor.name)};
  Result<QuantizedMatrix> matrix =
      from_gguf_blocks(nv ? Format::nvfp4 : Format::mxfp4, tensor.shape[0], tensor.shape[1], tensor.bytes);
  if (!matrix) {
    const Failure& failure = matrix.failure();
    return {failure.error, failure.reason, in_quotes(tensor.name) + ": " + failure.where};
  }
  return matrix;
}

}  // namespace fourge::quant
