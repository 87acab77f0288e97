#include "quant/safetensors.h"

#include <algorithm>
#include <new>
#include <tuple>
#include <utility>

#include "quant/safetensors_header.h"
#include "quant/text.h"

namespace fourge::quant {

namespace {

constexpr std::size_t kLengthBytes = 8;

std::uint64_t little_endian_u64(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

std::string offsets_text(const HeaderEntry& entry) {
  return "data_offsets [" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
}

/// Whether the entry's own numbers agree: shape, dtype, and the bytes between its offsets.
Status check_entry(const HeaderEntry& entry, std::uint64_t data_bytes, const std::string& file) {
  const std::string where = file + ": tensor " + in_quotes(entry.name) + ": ";
  if (entry.begin > entry.end) {
    return {Error::kBadFile, "expected data_offsets in ascending order", where + offsets_text(entry)};
  }
  if (entry.end > data_bytes) {
    return {Error::kBadFile, "data_offsets lie outside the file",
            where + offsets_text(entry) + " of " + std::to_string(data_bytes) + " data bytes"};
  }
  const std::optional<std::int64_t> count = element_count(entry.shape);
  if (!count) {
    return {Error::kBadFile, "the element count exceeds 2^62", where + "shape " + shape_text(entry.shape)};
  }
  if (entry.dtype == DType::f4 && (entry.shape.empty() || entry.shape.back() % 2 != 0)) {
    return {Error::kBadFile, "expected an even last dimension for F4",
            where + "shape " + shape_text(entry.shape)};
  }
  const std::optional<std::int64_t> bytes = packed_bytes(entry.dtype, *count);
  if (!bytes) {
    return {Error::kBadFile, "the elements do not end on a byte",
            where + std::string(name_of(entry.dtype)) + " " + shape_text(entry.shape)};
  }
  if (static_cast<std::uint64_t>(*bytes) != entry.end - entry.begin) {
    return {Error::kBadFile, "data_offsets do not fit dtype and shape",
            where + std::string(name_of(entry.dtype)) + " " + shape_text(entry.shape) + " takes " +
                std::to_string(*bytes) + " bytes, " + offsets_text(entry) + " give " +
                std::to_string(entry.end - entry.begin)};
  }
  return {};
}

/// Entries sorted by offset must tile the data: no overlap, no gap, no trailing bytes.
Status check_tiling(const std::vector<HeaderEntry>& sorted, std::uint64_t data_bytes,
                    const std::string& file) {
  std::uint64_t end = 0;
  for (const HeaderEntry& entry : sorted) {
    if (entry.begin != end) {
      return {Error::kBadFile,
              entry.begin < end ? "tensors overlap" : "bytes between two tensors belong to none",
              file + ": tensor " + in_quotes(entry.name) + ": " + offsets_text(entry) + ", expected begin " +
                  std::to_string(end)};
    }
    end = entry.end;
  }
  if (end != data_bytes) {
    return {Error::kBadFile, "bytes after the last tensor",
            file + ": tensors end at " + std::to_string(end) + " of " + std::to_string(data_bytes) +
                " data bytes"};
  }
  return {};
}

}  // namespace

Result<Safetensors> Safetensors::open(const std::filesystem::path& path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file) return file.failure();
  Result<Safetensors> result = parse(file->bytes(), printable(path.string()));
  if (result) result->file_ = std::move(*file);
  return result;
}

Result<Safetensors> Safetensors::parse(std::span<const std::uint8_t> bytes, std::string name) {
  Safetensors result;
  result.name_ = std::move(name);
  try {
    if (Status status = result.read_header(bytes); !status) return status.failure();
  } catch (const std::bad_alloc&) {
    return {Error::kOutOfMemory, "the header needs more memory than there is", result.name_};
  }
  return result;
}

Status Safetensors::read_header(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kLengthBytes) {
    return {Error::kBadFile, "expected at least the 8 bytes of the header length",
            name_ + ": " + std::to_string(bytes.size()) + " bytes"};
  }
  const std::uint64_t length = little_endian_u64(bytes);
  const std::uint64_t rest = bytes.size() - kLengthBytes;
  if (length > rest || length > kLongestHeader) {
    return {
        Error::kBadFile,
        length > rest ? "the header length exceeds the file" : "the header is longer than 100,000,000 bytes",
        name_ + ": header length " + std::to_string(length) + ", file size " + std::to_string(bytes.size())};
  }
  const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                              static_cast<std::size_t>(length));
  Result<Header> header = parse_header(json, name_, kLengthBytes);
  if (!header) return header.failure();

  const std::span<const std::uint8_t> data = bytes.subspan(kLengthBytes + static_cast<std::size_t>(length));
  std::vector<HeaderEntry>& entries = header->entries;
  for (const HeaderEntry& entry : entries) {
    if (Status status = check_entry(entry, data.size(), name_); !status) return status;
  }
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  if (Status status = check_tiling(entries, data.size(), name_); !status) return status;

  for (HeaderEntry& entry : entries) {
    index_.emplace(entry.name, tensors_.size());
    const std::span<const std::uint8_t> tensor_bytes = data.subspan(
        static_cast<std::size_t>(entry.begin), static_cast<std::size_t>(entry.end - entry.begin));
    tensors_.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape), tensor_bytes});
  }
  metadata_ = std::move(header->metadata);
  return {};
}

Result<Tensor> Safetensors::find(std::string_view name) const {
  if (const auto found = index_.find(name); found != index_.end()) return tensors_[found->second];
  std::string where = name_ + ": tensor " + in_quotes(name) + " among " + std::to_string(tensors_.size());
  if (!tensors_.empty()) where += " (the first is " + in_quotes(tensors_.front().name) + ")";
  return {Error::kNotFound, "no such tensor", std::move(where)};
}

}  // namespace fourge::quant
