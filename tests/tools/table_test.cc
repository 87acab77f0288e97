#include "tools/cli/table.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/run_program.h"

namespace fourge::tests {
namespace {

TEST(Table, AlignsColumnsWhateverTheColours) {
  cli::Table table({{"name", cli::Table::Align::kLeft}, {"value"}});
  table.add_row({"a", "1"});
  table.add_row({"\033[31mred\033[0m", "1234567"});
  table.add_row({"µ"});
  const TemporaryFolder folder;
  const auto file = folder / "table";
  std::FILE* stream = std::fopen(file.c_str(), "w");
  table.print(stream);
  std::fclose(stream);
  EXPECT_EQ(read_text(file),
            "name    value\n"
            "----  -------\n"
            "a           1\n"
            "\033[31mred\033[0m   1234567\n"
            "µ\n");
}

}  // namespace
}  // namespace fourge::tests
