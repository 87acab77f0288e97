// Aligned columns for people: numbers to the right, text to the left.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace fourge::cli {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kRight;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell per column; missing cells stay empty. Colour escapes in a cell do not count as width.
  void add_row(std::vector<std::string> cells);
  /// Heading, a rule, the rows; two spaces between columns, no trailing spaces.
  void print(std::FILE* stream = stdout) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Characters that a terminal shows: UTF-8 code points, without colour escapes.
std::size_t shown_width(const std::string& text);

}  // namespace fourge::cli
