// GGUF files whose sizes do not add up.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "quant/export/gguf.h"

namespace fourge::tests {
namespace {

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// One F32 tensor of these extents, and 64 bytes of data.
std::string file_with(std::initializer_list<std::uint64_t> extents) {
  std::string file = "GGUF" + raw<std::uint32_t>(3) + raw<std::uint64_t>(1) + raw<std::uint64_t>(0);
  file += raw<std::uint64_t>(1) + "w" + raw(static_cast<std::uint32_t>(extents.size()));
  for (const std::uint64_t extent : extents) file += raw(extent);
  file += raw<std::uint32_t>(0) + raw<std::uint64_t>(0);
  file.resize((file.size() + 31) / 32 * 32);
  return file + std::string(64, '\0');
}

Result<quant::GgufFile> parse(const std::string& file) {
  return quant::GgufFile::parse({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, "hostile");
}

TEST(GgufHostile, ATensorThatFitsIsRead) {
  const std::string file = file_with({4, 4});
  const auto parsed = parse(file);
  ASSERT_TRUE(parsed.ok()) << parsed.failure().message();
  EXPECT_EQ(parsed->find("w")->bytes.size(), 64u);
}

// 2^62 values are 2^64 bytes: 0 in 64 bits.
TEST(GgufHostile, SizesThatWrapAroundAreRefused) {
  for (const auto& extents :
       {std::initializer_list<std::uint64_t>{std::uint64_t{1} << 40, std::uint64_t{1} << 22},
        {std::uint64_t{1} << 31, std::uint64_t{1} << 31},
        {3458764513820540928u >> 22, std::uint64_t{1} << 22},
        {4, 5}}) {
    const auto parsed = parse(file_with(extents));
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error(), Error::kBadFile);
    EXPECT_NE(parsed.failure().message().find("the tensor lies beyond the end of the file"),
              std::string::npos)
        << parsed.failure().message();
  }
}

}  // namespace
}  // namespace fourge::tests
