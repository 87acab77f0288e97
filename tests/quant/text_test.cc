#include "quant/text.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

namespace fourge::quant {
namespace {

TEST(Text, PrintableEscapesControlBytesAndEnds) {
  EXPECT_EQ(printable("a\nb\x7f\x1b[0m \xc3\xa9"), "a\\x0ab\\x7f\\x1b[0m \xc3\xa9");
  EXPECT_EQ(printable(std::string(121, 'x')), std::string(120, 'x') + "...");
  EXPECT_EQ(printable(std::string(120, 'x')), std::string(120, 'x'));
  EXPECT_EQ(in_quotes("w"), "'w'");
}

TEST(Text, ShapesAreShort) {
  EXPECT_EQ(shape_text({}), "[]");
  EXPECT_EQ(shape_text(std::vector<std::int64_t>{2, 3}), "[2, 3]");
  EXPECT_EQ(shape_text(std::vector<std::int64_t>(9, 1)), "[1, 1, 1, 1, 1, 1, 1, 1, ...]");
}

// Unicode 15, table 3-7: the first and last of every row, and their neighbours outside.
TEST(Text, Utf8WellFormedness) {
  for (const char* good :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xe0\xbf\xbf", "\xe1\x80\x80",
        "\xec\xbf\xbf", "\xed\x80\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
        "\xf1\x80\x80\x80", "\xf3\xbf\xbf\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << printable(good);
  }
  for (const char* bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x7f", "\xc2\xc0", "\xe0\x9f\xbf", "\xe0\xa0",
        "\xe1\x80", "\xe1\x80\x7f", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe1\x80"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(Text, AFullDiskIsNamed) {
  EXPECT_STREQ(io_failure("cannot write", "f", ENOSPC).reason, "the disk is full");
  EXPECT_STREQ(io_failure("cannot write", "f", EACCES).reason, "cannot write");
  EXPECT_EQ(io_failure("cannot write", "f", EACCES).message(),
            "input/output error: f: Permission denied: cannot write");
}

}  // namespace
}  // namespace fourge::quant
