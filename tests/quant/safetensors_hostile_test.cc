// Files that lie, break off or are damaged: each is refused with a message that says what and where.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "quant/npy.h"
#include "quant/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace fourge::quant {
namespace {

using tests::TemporaryFolder;

std::vector<std::uint8_t> file_of(const std::string& header, std::size_t data_bytes = 0) {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::uint8_t>(header.size() >> (8 * i)));
  bytes.insert(bytes.end(), header.begin(), header.end());
  for (std::size_t i = 0; i < data_bytes; ++i) bytes.push_back(static_cast<std::uint8_t>(i * 31 + 7));
  return bytes;
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

struct Lie {
  const char* name;
  std::string header;
  std::size_t data_bytes;
  const char* reason;  // part of the message
};

std::vector<Lie> lies() {
  const std::string ok = entry("U8", "[4]", "[0,4]");
  const auto one = [](const std::string& value) { return R"({"a":)" + value + "}"; };
  return {
      {"empty header", "", 0, "begin with '{'"},
      {"space first", R"( {})", 0, "begin with '{'"},
      {"byte order mark", "\xef\xbb\xbf{}", 0, "begin with '{'"},
      {"array document", "[]", 0, "begin with '{'"},
      {"not JSON", "{nope}", 0, "not valid JSON"},
      {"unclosed", R"({"a":)" + ok, 4, "not valid JSON"},
      {"unclosed string", R"({"a)", 0, "not valid JSON"},
      {"trailing text", "{} x", 0, "not valid JSON"},
      {"two documents", "{}{}", 0, "not valid JSON"},
      {"comment", "{} // x", 0, "not valid JSON"},
      {"trailing comma", R"({"a":)" + ok + ",}", 4, "not valid JSON"},
      {"NUL behind the JSON", std::string("{}\0 ", 4), 0, "NUL at offset 10"},
      {"NUL in a name", std::string("{\"a\0b\":", 7) + ok + "}", 4, "NUL at offset 11"},
      {"not UTF-8", "{\"\xff\":" + ok + "}", 4, "not valid JSON"},
      {"overlong UTF-8", "{\"\xc0\x80\":" + ok + "}", 4, "not valid JSON"},
      {"lone surrogate", R"({"\ud800":)" + ok + "}", 4, "not valid JSON"},
      {"same name twice", R"({"a":)" + ok + R"(,"a":)" + ok + "}", 4, "each name may stand once"},
      {"same name escaped", R"({"a":)" + ok + R"(,"\u0061":)" + ok + "}", 4, "each name may stand once"},
      {"same metadata key twice", R"({"__metadata__":{"k":"1","k":"2"}})", 0, "each key may stand once"},
      {"two metadata", R"({"__metadata__":{},"__metadata__":{}})", 0, "each name may stand once"},
      {"metadata is a string", R"({"__metadata__":"x"})", 0, "expected an object of strings"},
      {"metadata of numbers", R"({"__metadata__":{"k":1}})", 0, "metadata map strings to strings"},
      {"metadata nested", R"({"__metadata__":{"k":{}}})", 0, "metadata map strings to strings"},
      {"entry is a number", one("1"), 0, "expected an object of dtype"},
      {"entry is null", one("null"), 0, "expected an object of dtype"},
      {"entry is an array", one("[]"), 0, "expected an object of dtype"},
      {"empty entry", one("{}"), 0, "expected dtype, shape and data_offsets"},
      {"no dtype", one(R"({"shape":[4],"data_offsets":[0,4]})"), 4, "expected dtype, shape and data_offsets"},
      {"no shape", one(R"({"dtype":"U8","data_offsets":[0,4]})"), 4,
       "expected dtype, shape and data_offsets"},
      {"no offsets", one(R"({"dtype":"U8","shape":[4]})"), 4, "expected dtype, shape and data_offsets"},
      {"unknown field", one(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1})"), 4,
       "expected only dtype"},
      {"field twice", one(R"({"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]})"), 4,
       "each field may stand once"},
      {"unknown dtype", one(entry("U9", "[4]", "[0,4]")), 4, "unknown dtype"},
      {"dtype is a number", one(R"({"dtype":8,"shape":[4],"data_offsets":[0,4]})"), 4,
       "dtype to be a string"},
      {"shape is a number", one(entry("U8", "4", "[0,4]")), 4, "shape to be an array"},
      {"negative extent", one(entry("U8", "[-4]", "[0,4]")), 4, "shape to be an array"},
      {"fractional extent", one(entry("U8", "[4.0]", "[0,4]")), 4, "shape to be an array"},
      {"extent in a string", one(entry("U8", R"(["4"])", "[0,4]")), 4, "shape to be an array"},
      {"nested shape", one(entry("U8", "[[4]]", "[0,4]")), 4, "shape to be an array"},
      {"extent beyond 62 bits", one(entry("U8", "[18446744073709551615]", "[0,4]")), 4,
       "expected at most 2^62"},
      {"extent beyond 64 bits", one(entry("U8", "[99999999999999999999]", "[0,4]")), 4,
       "shape to be an array"},
      {"shape product wraps to 4", one(entry("U8", "[4611686018427387904,4,1]", "[0,4]")), 4, "exceeds 2^62"},
      {"shape product wraps to 0", one(entry("U8", "[4294967296,4294967296]", "[0,0]")), 0, "exceeds 2^62"},
      {"zero hides an overflow", one(entry("U8", "[4294967296,4294967296,0]", "[0,0]")), 0, "exceeds 2^62"},
      {"bits overflow", one(entry("F64", "[4611686018427387904]", "[0,0]")), 0, "do not end on a byte"},
      {"33 dimensions",
       one(entry(
           "U8",
           "[1" +
               [] {
                 std::string ones;
                 for (int i = 0; i < 32; ++i) ones += ",1";
                 return ones;
               }() +
               "]",
           "[0,1]")),
       1, "at most 32 dimensions"},
      {"one offset", one(entry("U8", "[4]", "[4]")), 4, "data_offsets of two numbers"},
      {"three offsets", one(entry("U8", "[4]", "[0,4,4]")), 4, "data_offsets to be two"},
      {"negative offset", one(entry("U8", "[4]", "[-4,0]")), 4, "data_offsets to be two"},
      {"offsets descend", one(entry("U8", "[4]", "[4,0]")), 4, "ascending order"},
      {"end behind the file", one(entry("U8", "[5]", "[0,5]")), 4, "outside the file"},
      {"end far behind the file", one(entry("U8", "[4]", "[0,4611686018427387904]")), 4, "outside the file"},
      {"shape asks for more", one(entry("F32", "[4]", "[0,4]")), 4, "do not fit dtype and shape"},
      {"shape asks for less", one(entry("U8", "[3]", "[0,4]")), 4, "do not fit dtype and shape"},
      {"F4 of odd rows", one(entry("F4", "[2,3]", "[0,3]")), 3, "even last dimension"},
      {"F4 scalar", one(entry("F4", "[]", "[0,1]")), 1, "even last dimension"},
      {"F6 across a byte", one(entry("F6_E2M3", "[3]", "[0,3]")), 3, "do not end on a byte"},
      {"gap at the front", one(entry("U8", "[3]", "[1,4]")), 4, "belong to none"},
      {"trailing bytes", one(entry("U8", "[3]", "[0,3]")), 4, "bytes after the last tensor"},
      {"trailing bytes, no tensor", "{}", 4, "bytes after the last tensor"},
      {"overlap", R"({"a":)" + entry("U8", "[4]", "[0,4]") + R"(,"b":)" + entry("U8", "[4]", "[2,6]") + "}",
       6, "tensors overlap"},
      {"same bytes twice", R"({"a":)" + ok + R"(,"b":)" + ok + "}", 4, "tensors overlap"},
      {"gap between",
       R"({"a":)" + entry("U8", "[2]", "[0,2]") + R"(,"b":)" + entry("U8", "[2]", "[4,6]") + "}", 6,
       "belong to none"},
      {"deep nesting", R"({"a":)" + std::string(200'000, '[') + "}", 0, "expected an object of dtype"},
  };
}

TEST(SafetensorsHostile, EveryLieIsRefusedWithItsReason) {
  const std::vector<Lie> table = lies();
  EXPECT_GE(table.size(), 25u);
  for (const Lie& lie : table) {
    SCOPED_TRACE(lie.name);
    const Result<Safetensors> file =
        Safetensors::parse(file_of(lie.header, lie.data_bytes), "lie.safetensors");
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error(), Error::kBadFile);
    const std::string message = file.failure().message();
    EXPECT_NE(message.find(lie.reason), std::string::npos) << message;
    EXPECT_NE(message.find("lie.safetensors"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 500u);
  }
}

TEST(SafetensorsHostile, LegalOdditiesAreRead) {
  const std::string ok = entry("U8", "[4]", "[0,4]");
  const struct {
    const char* name;
    std::string header;
    std::size_t data_bytes, tensors;
  } table[] = {
      {"no tensors", "{}", 0, 0},
      {"spaces behind", "{}      ", 0, 0},
      {"metadata only", R"({"__metadata__":{}})", 0, 0},
      {"metadata last", R"({"a":)" + ok + R"(,"__metadata__":{"k":"v"}})", 4, 1},
      {"scalar", R"({"a":)" + entry("F32", "[]", "[0,4]") + "}", 4, 1},
      {"empty tensors share an offset",
       R"({"a":)" + entry("U8", "[0]", "[0,0]") + R"(,"b":)" + entry("U8", "[0,7]", "[0,0]") + "}", 0, 2},
      {"header order is not byte order",
       R"({"b":)" + entry("U8", "[2]", "[2,4]") + R"(,"a":)" + entry("U8", "[2]", "[0,2]") + "}", 4, 2},
      {"empty name", R"({"":)" + ok + "}", 4, 1},
  };
  for (const auto& row : table) {
    SCOPED_TRACE(row.name);
    const std::vector<std::uint8_t> bytes = file_of(row.header, row.data_bytes);
    const Result<Safetensors> file = Safetensors::parse(bytes, "odd");
    ASSERT_TRUE(file.ok()) << file.failure().message();
    EXPECT_EQ(file->tensors().size(), row.tensors);
  }
}

TEST(SafetensorsHostile, MisalignedTensorsDecode) {
  const std::string header = R"({"a":)" + entry("U8", "[1]", "[0,1]") + R"(,"b":)" +
                             entry("F32", "[2]", "[1,9]") + R"(,"c":)" + entry("F64", "[1]", "[9,17]") + "}";
  std::vector<std::uint8_t> bytes = file_of(header, 17);
  const float b[] = {1.5f, -2.0f};
  const double c = 0.25;
  std::memcpy(bytes.data() + bytes.size() - 16, b, sizeof b);
  std::memcpy(bytes.data() + bytes.size() - 8, &c, sizeof c);
  const Result<Safetensors> file = Safetensors::parse(bytes, "misaligned");
  ASSERT_TRUE(file.ok()) << file.failure().message();
  EXPECT_EQ(*tensor_to_f32(*file->find("b")), (std::vector<float>{1.5f, -2.0f}));
  EXPECT_EQ(*tensor_to_f32(*file->find("c")), (std::vector<float>{0.25f}));
}

TEST(SafetensorsHostile, HeaderLengthLies) {
  std::vector<std::uint8_t> bytes = file_of("{}");
  for (const std::uint64_t length : {std::uint64_t{3}, std::uint64_t{100'000'001}, ~std::uint64_t{0},
                                     ~std::uint64_t{0} - 7, std::uint64_t{1} << 63}) {
    for (int i = 0; i < 8; ++i)
      bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(length >> (8 * i));
    const Result<Safetensors> file = Safetensors::parse(bytes, "f");
    ASSERT_FALSE(file.ok());
    EXPECT_NE(file.failure().message().find("header length"), std::string::npos);
  }
}

TEST(SafetensorsHostile, HostileNamesStayOnOneLine) {
  const std::string name(5000, '\x01');
  std::string escaped;
  for (int i = 0; i < 5000; ++i) escaped += "\\u000a";
  const Result<Safetensors> file =
      Safetensors::parse(file_of("{\"" + escaped + "\":" + entry("U8", "[5]", "[0,5]") + "}", 4), "f\nf");
  ASSERT_FALSE(file.ok());
  EXPECT_LT(file.failure().message().size(), 400u);
}

// A file of several tensors and metadata, small enough to damage in every place.
std::vector<std::uint8_t> small_file() {
  return file_of(R"({"__metadata__":{"format":"pt"},"w":)" + entry("F32", "[2,2]", "[0,16]") +
                     R"(,"codes":)" + entry("F4", "[2,4]", "[16,20]") + R"(,"n":)" +
                     entry("I64", "[0]", "[20,20]") + "}",
                 20);
}

// Reads every byte that a parsed file promises; a sanitizer build turns a lie that slipped through into a
// crash.
std::uint64_t touch(const Safetensors& file) {
  std::uint64_t sum = 0;
  for (const Tensor& tensor : file.tensors()) {
    for (const std::uint8_t byte : tensor.bytes) sum += byte;
    EXPECT_EQ(packed_bytes(tensor.dtype, tensor.elements()), static_cast<std::int64_t>(tensor.bytes.size()));
    const Result<std::vector<float>> values = tensor_to_f32(tensor);
    if (values.ok()) {
      EXPECT_EQ(values->size(), static_cast<std::size_t>(tensor.elements()));
    }
  }
  return sum;
}

TEST(SafetensorsHostile, TruncatedAtEveryByte) {
  const std::vector<std::uint8_t> whole = small_file();
  ASSERT_TRUE(Safetensors::parse(whole, "whole").ok());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of its own size: a read behind the end is a read behind an allocation.
    const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const Result<Safetensors> file = Safetensors::parse(part, "part");
    ASSERT_FALSE(file.ok()) << size;
    EXPECT_EQ(file.error(), Error::kBadFile);
  }
}

TEST(SafetensorsHostile, TruncatedFilesOnDisk) {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> whole = small_file();
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, whole.size() / 2, whole.size() - 1}) {
    tests::write_bytes(folder / "f", {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    EXPECT_EQ(Safetensors::open(folder / "f").error(), Error::kBadFile) << size;
  }
  tests::write_bytes(folder / "f", whole);
  ASSERT_TRUE(Safetensors::open(folder / "f").ok());
}

TEST(SafetensorsHostile, EveryByteChangedToEveryValue) {
  const std::vector<std::uint8_t> whole = small_file();
  const std::size_t header_end = whole.size() - 20;
  int accepted = 0;
  for (std::size_t at = 0; at < header_end; ++at) {
    std::vector<std::uint8_t> bytes = whole;
    for (unsigned value = 0; value < 256; ++value) {
      bytes[at] = static_cast<std::uint8_t>(value);
      const Result<Safetensors> file = Safetensors::parse(bytes, "changed");
      if (!file.ok()) continue;
      ++accepted;
      touch(*file);
    }
  }
  EXPECT_GT(accepted, 1000);  // names and metadata may hold nearly any byte
}

// Mutations as a fuzzer makes them, from a fixed seed: every build runs the same ones.
TEST(SafetensorsHostile, RandomMutationsNeverEscape) {
  const std::vector<std::uint8_t> whole = small_file();
  std::mt19937 engine(20'25);
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(engine() % limit); };
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::uint8_t> bytes = whole;
    for (std::size_t edit = 0; edit <= below(4); ++edit) {
      const auto at = static_cast<std::ptrdiff_t>(below(bytes.size()));
      switch (below(5)) {
        case 0:
          bytes[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(1u << below(8));
          break;
        case 1:
          bytes[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>("0129[]{},:\"-.e"[below(14)]);
          break;
        case 2:
          bytes.erase(bytes.begin() + at);
          break;
        case 3:
          bytes.insert(bytes.begin() + at, static_cast<std::uint8_t>("0129[]{},:\"-.e"[below(14)]));
          break;
        default: {  // a piece of the file in another place
          const std::size_t from = below(whole.size()), length = below(whole.size() - from);
          bytes.insert(bytes.begin() + at, whole.begin() + static_cast<std::ptrdiff_t>(from),
                       whole.begin() + static_cast<std::ptrdiff_t>(from + length));
        }
      }
      if (bytes.empty()) break;
    }
    // The length follows the header, else nearly every mutation would stop at it.
    if (bytes.size() >= 28 && below(4) != 0) {
      const std::size_t length = bytes.size() - 28;
      for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(length >> (8 * i));
    }
    const Result<Safetensors> file = Safetensors::parse(bytes, "mutated");
    if (file.ok()) {
      ++accepted;
      touch(*file);
    }
  }
  EXPECT_GT(accepted, 100);
}

TEST(SafetensorsOpen, WhatIsNoReadableFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(Safetensors::open(folder / "absent").error(), Error::kNotFound);
  EXPECT_EQ(Safetensors::open(folder / "absent" / "below").error(), Error::kNotFound);
  EXPECT_EQ(Safetensors::open(folder.path()).error(), Error::kBadFile);
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(Safetensors::open(folder / "fifo").error(), Error::kBadFile);  // and does not wait for a writer
  tests::write_bytes(folder / "file", {});
  EXPECT_EQ(Safetensors::open(folder / "file" / "below").error(), Error::kNotFound);
  EXPECT_EQ(Safetensors::open("").error(), Error::kNotFound);
}

TEST(NpyHostile, MalformedHeadersAreRefused) {
  const auto npy = [](const std::string& dictionary, std::size_t data_bytes, char major = 1) {
    std::string text = std::string("\x93NUMPY") + major + '\0';
    text += static_cast<char>(dictionary.size() & 0xff);
    text += static_cast<char>(dictionary.size() >> 8);
    if (major > 1) text += std::string(2, '\0');
    text += dictionary + std::string(data_bytes, 'x');
    return std::vector<std::uint8_t>(text.begin(), text.end());
  };
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n";
  for (const char major : {'\1', '\2', '\3'})
    ASSERT_TRUE(NpyFile::parse(npy(good, 8, major), "f").ok()) << int{major};
  const std::vector<std::uint8_t> whole = npy(good, 8);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(NpyFile::parse(part, "f").error(), Error::kBadFile) << size;
  }
  EXPECT_EQ(NpyFile::parse(npy(good, 8, 4), "f").error(), Error::kBadFile);
  EXPECT_EQ(NpyFile::parse(npy(good, 9), "f").error(), Error::kBadFile);
  for (const char* bad : {
           "",
           "{",
           "{}",
           "[]",
           "{'descr': '<f4'}",
           "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 1)}",
           "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}",
           "{'descr': '|O', 'fortran_order': False, 'shape': (2, 1)}",
           "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 1)}",
           "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 1]}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)} x",
           "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), 'x': 1}",
       }) {
    EXPECT_EQ(NpyFile::parse(npy(bad, 8), "f").error(), Error::kBadFile) << bad;
  }
  EXPECT_TRUE(NpyFile::parse(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}", 8), "f").ok());
}

TEST(NpyHostile, RandomMutationsNeverEscape) {
  const TemporaryFolder folder;
  const std::vector<std::int64_t> shape = {2, 3};
  ASSERT_TRUE(write_npy(folder / "a.npy", DType::f16, shape, std::vector<std::uint8_t>(12, 1)).ok());
  const std::vector<std::uint8_t> whole = tests::read_bytes(folder / "a.npy");
  std::mt19937 engine(5);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::uint8_t> bytes = whole;
    for (std::uint_fast32_t edit = 0; edit <= engine() % 3; ++edit) {
      bytes[engine() % bytes.size()] = static_cast<std::uint8_t>(engine());
    }
    bytes.resize(bytes.size() - engine() % 3 * (engine() % bytes.size()) / 3);
    const Result<NpyFile> file = NpyFile::parse(bytes, "mutated");
    if (file.ok()) {
      ASSERT_EQ(packed_bytes(file->dtype(), *element_count(file->shape())),
                static_cast<std::int64_t>(file->bytes().size()));
    }
  }
}

}  // namespace
}  // namespace fourge::quant
