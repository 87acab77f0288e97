// Any bytes: the .npy reader refuses them with one line, or shape and data agree.
#include <cstdlib>
#include <cstring>
#include <string>

#include "quant/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using fourge::quant::NpyFile;
  const fourge::Result<NpyFile> file = NpyFile::parse({data, size}, "fuzz");
  if (!file.ok()) {
    const std::string message = file.failure().message();
    if (message.empty() || message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  const auto expected = fourge::quant::packed_bytes(file->dtype(), file->tensor().elements());
  if (expected != static_cast<std::int64_t>(file->bytes().size())) std::abort();
  static_cast<void>(fourge::quant::tensor_to_f32(file->tensor()));
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  if (size <= 1 || seed % 1024 == 0) {
    std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n";
    text = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size()) + '\0' + text + "datadata";
    if (text.size() <= max_size) {
      std::memcpy(data, text.data(), text.size());
      size = text.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
