// Files under tests/data.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace fourge::tests {

inline std::filesystem::path test_data() {
  return std::filesystem::path(FOURGE_SOURCE_DIR) / "tests" / "data";
}

/// The words of a little-endian binary file; empty when it cannot be read.
template <class T>
std::vector<T> read_words(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<T> words(bytes.size() / sizeof(T));
  std::memcpy(words.data(), bytes.data(), words.size() * sizeof(T));
  return words;
}

}  // namespace fourge::tests
