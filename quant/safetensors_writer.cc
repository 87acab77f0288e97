#include <algorithm>
#include <utility>

#include "quant/atomic_file.h"
#include "quant/safetensors.h"
#include "quant/text.h"

namespace fourge::quant {

namespace {

/// A JSON string literal of well-formed UTF-8.
std::string json_string(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20) {
      out += {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string json_array(std::span<const std::int64_t> values) {
  std::string out = "[";
  for (const std::int64_t value : values) out += (out.size() > 1 ? "," : "") + std::to_string(value);
  return out + "]";
}

}  // namespace

Status SafetensorsWriter::add(std::string name, DType dtype, std::vector<std::int64_t> shape,
                              std::span<const std::uint8_t> bytes) {
  const std::string where = "tensor " + in_quotes(name);
  if (!is_utf8(name) || name == "__metadata__" || name.find('\0') != std::string::npos) {
    return {Error::kBadArgument, "expected a name in UTF-8 other than __metadata__", where};
  }
  if (tensors_.count(name) != 0) return {Error::kBadArgument, "the name is taken", where};
  const std::optional<std::int64_t> count = element_count(shape);
  const std::optional<std::int64_t> size = count ? packed_bytes(dtype, *count) : std::nullopt;
  const bool odd_rows = dtype == DType::f4 && (shape.empty() || shape.back() % 2 != 0);
  if (!size || odd_rows || shape.size() > Safetensors::kHighestRank ||
      static_cast<std::uint64_t>(*size) != bytes.size()) {
    return {Error::kBadShape, "the bytes do not fit dtype and shape",
            where + ": " + std::string(name_of(dtype)) + " " + shape_text(shape) + ", " +
                std::to_string(bytes.size()) + " bytes"};
  }
  Tensor tensor{name, dtype, std::move(shape), bytes};
  tensors_.emplace(std::move(name), std::move(tensor));
  return {};
}

Status SafetensorsWriter::add_owned(std::string name, DType dtype, std::vector<std::int64_t> shape,
                                    std::vector<std::uint8_t> bytes) {
  owned_.push_back(std::make_unique<std::vector<std::uint8_t>>(std::move(bytes)));
  return add(std::move(name), dtype, std::move(shape), *owned_.back());
}

Status SafetensorsWriter::add_metadata(std::string key, std::string value) {
  if (!is_utf8(key) || !is_utf8(value)) {
    return {Error::kBadArgument, "expected UTF-8", "metadata key " + in_quotes(key)};
  }
  if (!metadata_.emplace(key, std::move(value)).second) {
    return {Error::kBadArgument, "the key is taken", "metadata key " + in_quotes(key)};
  }
  return {};
}

std::string SafetensorsWriter::header(const std::vector<const Tensor*>& order) const {
  std::string json = "{";
  if (!metadata_.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata_) {
      if (json.back() != '{') json += ',';
      json += json_string(key) + ":" + json_string(value);
    }
    json += "}";
  }
  std::int64_t offset = 0;
  for (const Tensor* tensor : order) {
    const std::int64_t end = offset + static_cast<std::int64_t>(tensor->bytes.size());
    const std::int64_t offsets[] = {offset, end};
    if (json.size() > 1) json += ',';
    json += json_string(tensor->name) + ":{\"dtype\":\"" + std::string(name_of(tensor->dtype)) +
            "\",\"shape\":" + json_array(tensor->shape) + ",\"data_offsets\":" + json_array(offsets) + "}";
    offset = end;
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  return json;
}

Status SafetensorsWriter::write(const std::filesystem::path& path) const {
  std::vector<const Tensor*> order;
  for (const auto& [name, tensor] : tensors_) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const Tensor* a, const Tensor* b) {
    return info(a->dtype).bits > info(b->dtype).bits;
  });
  const std::string json = header(order);
  if (json.size() > Safetensors::kLongestHeader) {
    return {Error::kBadArgument, "the header would exceed 100,000,000 bytes", printable(path.string())};
  }
  std::uint8_t length[8];
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<std::uint8_t>(json.size() >> (8 * i));

  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.failure();
  if (Status status = file->write(length); !status) return status;
  if (Status status = file->write(json); !status) return status;
  for (const Tensor* tensor : order) {
    if (Status status = file->write(tensor->bytes); !status) return status;
  }
  return file->commit();
}

}  // namespace fourge::quant
