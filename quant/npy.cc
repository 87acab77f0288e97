#include "quant/npy.h"

#include <optional>
#include <string_view>
#include <utility>

#include "quant/atomic_file.h"
#include "quant/text.h"

namespace fourge::quant {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct NpyName {
  DType dtype;
  std::string_view descr;
};
constexpr NpyName kNpyNames[] = {
    {DType::f16, "<f2"}, {DType::f32, "<f4"}, {DType::f64, "<f8"}, {DType::u8, "|u1"},
    {DType::u16, "<u2"}, {DType::u32, "<u4"}, {DType::u64, "<u8"}, {DType::i8, "|i1"},
    {DType::i16, "<i2"}, {DType::i32, "<i4"}, {DType::i64, "<i8"}, {DType::boolean, "|b1"},
};

/// A cursor over the header: a Python dictionary literal of exactly the keys descr, fortran_order, shape.
class HeaderCursor {
 public:
  explicit HeaderCursor(std::string_view text) : rest_(text) {}

  bool take(std::string_view token) {
    skip_spaces();
    if (rest_.substr(0, token.size()) != token) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  bool at_end() {
    skip_spaces();
    return rest_.empty();
  }
  std::optional<std::string_view> quoted_string() {
    skip_spaces();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return std::nullopt;
    const std::size_t close = rest_.find(rest_[0], 1);
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view text = rest_.substr(1, close - 1);
    rest_.remove_prefix(close + 1);
    return text;
  }
  std::optional<std::int64_t> integer() {
    skip_spaces();
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      if (digits == 18) return std::nullopt;  // 10^18 < 2^62
      value = value * 10 + (rest_[digits] - '0');
    }
    if (digits == 0) return std::nullopt;
    rest_.remove_prefix(digits);
    return value;
  }
  /// () (3,) (3, 4) (3, 4,)
  std::optional<std::vector<std::int64_t>> tuple() {
    std::vector<std::int64_t> values;
    if (!take("(")) return std::nullopt;
    while (!take(")")) {
      const std::optional<std::int64_t> value = integer();
      if (!value || values.size() == Safetensors::kHighestRank) return std::nullopt;
      values.push_back(*value);
      if (!take(",")) {
        // (3) is no tuple in Python.
        if (values.size() < 2 || !take(")")) return std::nullopt;
        return values;
      }
    }
    return values;
  }

 private:
  void skip_spaces() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t'))
      rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

struct NpyHeader {
  std::string_view descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

std::optional<NpyHeader> parse_dictionary(std::string_view text) {
  HeaderCursor cursor(text);
  NpyHeader header;
  bool seen_descr = false, seen_order = false, seen_shape = false;
  if (!cursor.take("{")) return std::nullopt;
  while (!cursor.take("}")) {
    const std::optional<std::string_view> key = cursor.quoted_string();
    if (!key || !cursor.take(":")) return std::nullopt;
    if (*key == "descr" && !seen_descr) {
      const std::optional<std::string_view> descr = cursor.quoted_string();
      if (!descr) return std::nullopt;
      header.descr = *descr;
      seen_descr = true;
    } else if (*key == "fortran_order" && !seen_order) {
      header.fortran_order = cursor.take("True");
      if (!header.fortran_order && !cursor.take("False")) return std::nullopt;
      seen_order = true;
    } else if (*key == "shape" && !seen_shape) {
      std::optional<std::vector<std::int64_t>> shape = cursor.tuple();
      if (!shape) return std::nullopt;
      header.shape = std::move(*shape);
      seen_shape = true;
    } else {
      return std::nullopt;
    }
    if (!cursor.take(",")) {
      if (!cursor.take("}")) return std::nullopt;
      break;
    }
  }
  if (!seen_descr || !seen_order || !seen_shape || !cursor.at_end()) return std::nullopt;
  return header;
}

std::optional<DType> dtype_of_descr(std::string_view descr) {
  for (const NpyName& row : kNpyNames)
    if (row.descr == descr) return row.dtype;
  return std::nullopt;
}

/// The header's text and the data behind it; none when the preamble is malformed or longer than the file.
std::optional<std::pair<std::string_view, std::span<const std::uint8_t>>> split(
    std::span<const std::uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes.size() < 10 || text.substr(0, kMagic.size()) != kMagic) return std::nullopt;
  const unsigned major = bytes[6];
  const std::size_t preamble = major == 1 ? 10 : 12;  // u16 or u32 header length
  if (major < 1 || major > 3 || bytes[7] != 0 || bytes.size() < preamble) return std::nullopt;
  std::size_t length = bytes[8] | std::size_t{bytes[9]} << 8;
  if (major > 1) length |= std::size_t{bytes[10]} << 16 | std::size_t{bytes[11]} << 24;
  if (length > bytes.size() - preamble) return std::nullopt;
  return std::pair(text.substr(preamble, length), bytes.subspan(preamble + length));
}

}  // namespace

Result<NpyFile> NpyFile::open(const std::filesystem::path& path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file) return file.failure();
  Result<NpyFile> result = parse(file->bytes(), printable(path.string()));
  if (result) result->file_ = std::move(*file);
  return result;
}

Result<NpyFile> NpyFile::parse(std::span<const std::uint8_t> bytes, std::string name) {
  const auto parts = split(bytes);
  if (!parts) {
    return {Error::kBadFile, "expected a .npy file, version 1 to 3, with its whole header", std::move(name)};
  }
  const std::optional<NpyHeader> header = parse_dictionary(parts->first);
  if (!header) {
    return {Error::kBadFile, "expected a dictionary of descr, fortran_order and shape", name + ": header"};
  }
  const std::optional<DType> dtype = dtype_of_descr(header->descr);
  if (!dtype) {
    return {Error::kBadFile, "expected a little-endian number type of at most 8 bytes",
            name + ": descr " + in_quotes(header->descr)};
  }
  if (header->fortran_order && header->shape.size() > 1) {
    return {Error::kBadFile, "expected C order", name + ": fortran_order True"};
  }
  const std::optional<std::int64_t> count = element_count(header->shape);
  const std::optional<std::int64_t> size = count ? packed_bytes(*dtype, *count) : std::nullopt;
  if (!size || static_cast<std::uint64_t>(*size) != parts->second.size()) {
    return {Error::kBadFile, "the data do not fit dtype and shape",
            name + ": " + std::string(header->descr) + " " + shape_text(header->shape) + ", " +
                std::to_string(parts->second.size()) + " bytes"};
  }
  NpyFile file;
  file.tensor_ = {std::move(name), *dtype, header->shape, parts->second};
  return file;
}

Status write_npy(const std::filesystem::path& path, DType dtype, std::span<const std::int64_t> shape,
                 std::span<const std::uint8_t> bytes) {
  std::string_view descr;
  for (const NpyName& row : kNpyNames)
    if (row.dtype == dtype) descr = row.descr;
  if (descr.empty()) {
    return {Error::kUnsupportedFormat, "NumPy has no name for this dtype", std::string(name_of(dtype))};
  }
  const std::optional<std::int64_t> count = element_count(shape);
  const std::optional<std::int64_t> size = count ? packed_bytes(dtype, *count) : std::nullopt;
  if (!size || static_cast<std::uint64_t>(*size) != bytes.size()) {
    return {Error::kBadShape, "the bytes do not fit dtype and shape",
            shape_text(shape) + ", " + std::to_string(bytes.size()) + " bytes"};
  }
  std::string dictionary = "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (";
  for (const std::int64_t extent : shape) dictionary += std::to_string(extent) + ", ";
  dictionary += "), }";
  // Magic, version and length take 10 bytes; the data begin at a multiple of 64, after a newline.
  dictionary.append(63 - (10 + dictionary.size()) % 64, ' ');
  dictionary += '\n';
  if (dictionary.size() > 0xffff) return {Error::kBadShape, "too many dimensions", shape_text(shape)};

  std::string preamble(kMagic);
  preamble += {'\x01', '\x00', static_cast<char>(dictionary.size() & 0xff),
               static_cast<char>(dictionary.size() >> 8)};
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.failure();
  if (Status status = file->write(preamble + dictionary); !status) return status;
  if (Status status = file->write(bytes); !status) return status;
  return file->commit();
}

}  // namespace fourge::quant
