// Any bytes: the reader refuses them with one line, or every tensor it promises can be read and decoded.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "quant/safetensors.h"

namespace {

using fourge::quant::Safetensors;
using fourge::quant::Tensor;

void require(bool condition) {
  if (!condition) std::abort();
}

const std::string kSeeds[] = {
    "{}",
    R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})",
    R"({"a":{"dtype":"F4","shape":[2,4],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[],"data_offsets":[4,6]}})",
    R"({"a":{"dtype":"I64","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]}})",
};

void check(std::span<const std::uint8_t> bytes) {
  const fourge::Result<Safetensors> file = Safetensors::parse(bytes, "fuzz");
  if (!file.ok()) {
    const std::string message = file.failure().message();
    require(!message.empty() && message.size() < 1000 && message.find('\n') == std::string::npos);
    return;
  }
  std::uint64_t covered = 0;
  for (const Tensor& tensor : file->tensors()) {
    require(fourge::quant::packed_bytes(tensor.dtype, tensor.elements()) ==
            static_cast<std::int64_t>(tensor.bytes.size()));
    covered += tensor.bytes.size();
    static_cast<void>(fourge::quant::tensor_to_f32(tensor));  // reads every byte of the types it takes
    require(file->find(tensor.name).ok());
  }
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  require(8 + header + covered == bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({data, size});
  // The same bytes as header and data of a file whose length field is right: most random lengths are not.
  if (size >= 1) {
    const std::size_t data_bytes = std::min<std::size_t>(data[0] % 32, size - 1);
    std::string file(8, '\0');
    const std::uint64_t header = size - 1 - data_bytes;
    std::memcpy(file.data(), &header, sizeof header);
    file.append(reinterpret_cast<const char*>(data) + 1, size - 1);
    check({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

// From nothing, and now and then from anything, the mutator starts over with a seed.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  if (size <= 1 || seed % 1024 == 0) {
    const std::string& header = kSeeds[seed / 1024 % std::size(kSeeds)];
    const std::string text = '\x10' + header + std::string(16, 'd');
    if (text.size() <= max_size) {
      std::memcpy(data, text.data(), text.size());
      size = text.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
