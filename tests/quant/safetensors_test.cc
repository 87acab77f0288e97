#include "quant/safetensors.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "quant/npy.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"

namespace fourge::quant {
namespace {

using tests::TemporaryFolder;

template <class T>
std::vector<std::uint8_t> bytes_of(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(SafetensorsWriter, RoundTripKeepsEveryDtypeAndMetadata) {
  const TemporaryFolder folder;
  SafetensorsWriter writer;
  int value = 1;
  for (const DTypeInfo& row : kDTypes) {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(12 * row.bits / 8));
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(value += 7);
    ASSERT_TRUE(writer.add_owned("t." + std::string(row.name), row.dtype, {3, 4}, bytes).ok());
  }
  ASSERT_TRUE(writer.add_owned("scalar", DType::f32, {}, bytes_of<float>({1.5f})).ok());
  ASSERT_TRUE(writer.add_owned("empty", DType::bf16, {0, 5}, {}).ok());
  ASSERT_TRUE(writer.add_owned("quote\" slash\\ line\n \xc3\xa9", DType::u8, {1}, {9}).ok());
  ASSERT_TRUE(writer.add_metadata("format", "pt\t\"x\"").ok());
  const std::filesystem::path path = folder / "a.safetensors";
  ASSERT_TRUE(writer.write(path).ok());
  EXPECT_EQ(folder.entries(), 1u);

  const Result<Safetensors> file = Safetensors::open(path);
  ASSERT_TRUE(file.ok()) << file.failure().message();
  EXPECT_EQ(file->metadata().at("format"), "pt\t\"x\"");
  EXPECT_EQ(file->tensors().size(), std::size(kDTypes) + 3);
  value = 1;
  for (const DTypeInfo& row : kDTypes) {
    const Result<Tensor> tensor = file->find("t." + std::string(row.name));
    ASSERT_TRUE(tensor.ok());
    EXPECT_EQ(tensor->dtype, row.dtype);
    EXPECT_EQ(tensor->shape, (std::vector<std::int64_t>{3, 4}));
    ASSERT_EQ(tensor->bytes.size(), static_cast<std::size_t>(12 * row.bits / 8));
    for (const std::uint8_t byte : tensor->bytes) EXPECT_EQ(byte, static_cast<std::uint8_t>(value += 7));
    if (row.bits >= 8) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor->bytes.data()) % static_cast<unsigned>(row.bits / 8),
                0u)
          << row.name;
    }
  }
  EXPECT_EQ(file->find("scalar")->elements(), 1);
  EXPECT_EQ(file->find("empty")->bytes.size(), 0u);
  EXPECT_TRUE(file->contains("quote\" slash\\ line\n \xc3\xa9"));
  EXPECT_EQ(file->find("absent").error(), Error::kNotFound);
}

TEST(TensorToF32, EveryTypeDecodes) {
  const auto values = [](DType dtype, std::vector<std::int64_t> shape, std::vector<std::uint8_t> bytes) {
    return *tensor_to_f32({"t", dtype, std::move(shape), bytes});
  };
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(values(DType::f32, {2}, bytes_of<float>({-0.5f, 3e38f})), (std::vector<float>{-0.5f, 3e38f}));
  EXPECT_EQ(values(DType::f64, {4}, bytes_of<double>({0.1, 1e300, -1e-300, 1 + 0x1p-24})),
            (std::vector<float>{0.1f, inf, -0.0f, 1.0f}));
  EXPECT_EQ(values(DType::bf16, {3}, bytes_of<std::uint16_t>({0x3fc0, 0x8001, 0xff80})),
            (std::vector<float>{1.5f, -0x1p-133f, -inf}));
  EXPECT_EQ(values(DType::f16, {4}, bytes_of<std::uint16_t>({0x3e00, 0x0001, 0xfbff, 0x7c00})),
            (std::vector<float>{1.5f, 0x1p-24f, -65504.0f, inf}));
  EXPECT_EQ(values(DType::f8_e4m3, {3}, {0x7e, 0x81, 0x38}), (std::vector<float>{448.0f, -0x1p-9f, 1.0f}));
  EXPECT_EQ(values(DType::f8_e5m2, {3}, {0x7b, 0x7c, 0xbc}), (std::vector<float>{57344.0f, inf, -1.0f}));
  EXPECT_EQ(values(DType::f8_e8m0, {3}, {0, 127, 254}), (std::vector<float>{0x1p-127f, 1.0f, 0x1p127f}));
  EXPECT_EQ(values(DType::f4, {1, 4}, {0x72, 0xf9}), (std::vector<float>{1.0f, 6.0f, -0.5f, -6.0f}));
  EXPECT_TRUE(std::isnan(values(DType::f8_e4m3, {1}, {0x7f})[0]));
  EXPECT_EQ(tensor_to_f32({"t", DType::i32, {0}, {}}).error(), Error::kUnsupportedFormat);
  EXPECT_EQ(tensor_to_f32({"t", DType::f32, {2}, {}}).error(), Error::kBadShape);
}

TEST(Npy, RoundTripAndVersions) {
  const TemporaryFolder folder;
  const std::vector<std::int64_t> shapes[] = {{}, {3}, {2, 3}, {0, 4}};
  for (const std::vector<std::int64_t>& shape : shapes) {
    const std::vector<std::uint8_t> bytes(static_cast<std::size_t>(*element_count(shape)) * 4, 0x41);
    ASSERT_TRUE(write_npy(folder / "a.npy", DType::f32, shape, bytes).ok());
    const Result<NpyFile> file = NpyFile::open(folder / "a.npy");
    ASSERT_TRUE(file.ok()) << file.failure().message();
    EXPECT_EQ(file->shape(), shape);
    EXPECT_EQ(file->dtype(), DType::f32);
    EXPECT_EQ(std::vector<std::uint8_t>(file->bytes().begin(), file->bytes().end()), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file->bytes().data()) % 64, 0u);
  }
}

}  // namespace
}  // namespace fourge::quant
