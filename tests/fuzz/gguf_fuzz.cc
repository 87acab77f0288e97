// Any bytes: the reader refuses them with one line, or every tensor it promises lies in the file, has the
// size that type and shape ask for, and can be decoded.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "quant/export/gguf.h"

namespace {

using fourge::quant::GgmlType;
using fourge::quant::GgufFile;
using fourge::quant::GgufTensor;

void require(bool condition) {
  if (!condition) std::abort();
}

// Bytes of a value, or of a block of 64 or 32.
std::int64_t bytes_of(GgmlType type, std::int64_t elements) {
  switch (type) {
    case GgmlType::f32:
      return 4 * elements;
    case GgmlType::f16:
    case GgmlType::bf16:
      return 2 * elements;
    case GgmlType::mxfp4:
      return elements / 32 * 17;
    case GgmlType::nvfp4:
      return elements / 64 * 36;
  }
  return -1;
}

void check_tensor(std::span<const std::uint8_t> file, const GgufTensor& tensor) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : tensor.shape) {
    require(extent >= 0);
    elements *= extent;
  }
  require(static_cast<std::int64_t>(tensor.bytes.size()) == bytes_of(tensor.type, elements));
  if (tensor.bytes.empty()) return;
  require(tensor.bytes.data() >= file.data());
  require(tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size());
  if (tensor.type != GgmlType::mxfp4 && tensor.type != GgmlType::nvfp4) return;
  const auto matrix = fourge::quant::from_gguf_blocks(tensor);
  if (matrix.ok()) require(static_cast<std::int64_t>(matrix->codes.size()) == elements / 2);
}

// Little-endian pieces of a file.
std::string u32(std::uint32_t value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }
std::string u64(std::uint64_t value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }
std::string text(std::string_view value) { return u64(value.size()) + std::string(value); }

std::string with_header(std::uint64_t tensors, std::uint64_t entries, std::string rest,
                        std::size_t data_bytes) {
  std::string file = "GGUF" + u32(3) + u64(tensors) + u64(entries) + std::move(rest);
  file.resize((file.size() + 31) / 32 * 32);
  return file + std::string(data_bytes, '\x11');
}

std::string tensor(std::string_view name, std::initializer_list<std::uint64_t> extents, GgmlType type,
                   std::uint64_t offset) {
  std::string piece = text(name) + u32(static_cast<std::uint32_t>(extents.size()));
  for (const std::uint64_t extent : extents) piece += u64(extent);
  return piece + u32(static_cast<std::uint32_t>(type)) + u64(offset);
}

const std::string kSeeds[] = {
    with_header(0, 0, "", 0),
    with_header(1, 0, tensor("w", {32, 2}, GgmlType::mxfp4, 0), 34),
    with_header(2, 0, tensor("w", {64, 2}, GgmlType::nvfp4, 0) + tensor("w.scale", {1}, GgmlType::f32, 96),
                100),
    with_header(1, 3,
                text("general.architecture") + u32(8) + text("llama") + text("n") + u32(4) + u32(7) +
                    text("a") + u32(9) + u32(8) + u64(2) + text("x") + text("yz") +
                    tensor("b", {3}, GgmlType::bf16, 0),
                6),
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  const fourge::Result<GgufFile> file = GgufFile::parse(bytes, "fuzz");
  if (!file.ok()) {
    const std::string message = file.failure().message();
    require(!message.empty() && message.size() < 1000 && message.find('\n') == std::string::npos);
    return 0;
  }
  for (const auto& [name, tensor] : file->tensors()) {
    require(file->find(name).ok());
    check_tensor(bytes, tensor);
  }
  for (const auto& [key, value] : file->metadata()) {
    static_cast<void>(file->integer(key));
    static_cast<void>(file->number(key));
    static_cast<void>(file->text(key));
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

// From nothing, and now and then from anything, the mutator starts over with a seed.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  if (size <= 1 || seed % 256 == 0) {
    const std::string& file = kSeeds[seed / 256 % std::size(kSeeds)];
    if (file.size() <= max_size) {
      std::memcpy(data, file.data(), file.size());
      size = file.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
