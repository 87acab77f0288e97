#include "safetensors_writer.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace fourge::capture {
namespace {

std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return json + "\"";
}

std::string header(const std::vector<std::pair<std::string, std::string>>& metadata,
                   const std::vector<TensorView>& tensors) {
  std::string json = "{\"__metadata__\":{";
  for (size_t i = 0; i < metadata.size(); ++i)
    json += (i ? "," : "") + quoted(metadata[i].first) + ":" + quoted(metadata[i].second);
  json += "}";
  uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    json += "," + quoted(tensor.name) + ":{\"dtype\":" + quoted(tensor.dtype) + ",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) json += (i ? "," : "") + std::to_string(tensor.shape[i]);
    json +=
        "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + tensor.bytes) + "]}";
    offset += tensor.bytes;
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  return json;
}

}  // namespace

std::string write_safetensors(const std::string& path,
                              const std::vector<std::pair<std::string, std::string>>& metadata,
                              const std::vector<TensorView>& tensors) {
  const std::string part = path + ".part", json = header(metadata, tensors);
  uint8_t length[8];
  for (int i = 0; i < 8; ++i) length[i] = uint8_t(uint64_t(json.size()) >> (8 * i));

  std::FILE* file = std::fopen(part.c_str(), "wb");
  if (!file) return part + ": cannot be created: " + std::strerror(errno);
  bool ok =
      std::fwrite(length, 1, 8, file) == 8 && std::fwrite(json.data(), 1, json.size(), file) == json.size();
  for (const TensorView& tensor : tensors)
    ok = ok && std::fwrite(tensor.data, 1, tensor.bytes, file) == tensor.bytes;
  ok = std::fclose(file) == 0 && ok;
  if (!ok) {
    const std::string reason = std::strerror(errno);
    std::remove(part.c_str());
    return part + ": cannot be written: " + reason;
  }
  if (std::rename(part.c_str(), path.c_str()) != 0)
    return path + ": cannot be replaced: " + std::strerror(errno);
  return "";
}

}  // namespace fourge::capture
