// Charts: from data to one SVG element. Colours come from CSS (palette.h), so that one drawing serves light
// and dark; every mark has a title for pointers and screen readers, and names where its number stands.
#pragma once

#include <string>
#include <vector>

#include "tools/report/axis.h"

namespace fourge::report {

struct Point {
  double x = 0;
  double y = 0;
  std::string title = {};   // "NVFP4, M = 32: 274 GFLOP/s"
  std::string source = {};  // JSON pointer of y in the document, where there is one
};

struct Series {
  std::string name;
  int color = 0;  // of palette.h; the shape of marks follows it
  std::vector<Point> points;
  bool line = true;  // marks joined, in the order given
  bool dashed = false;
  bool marks = true;
  bool named_at_line = false;  // the name stands at its line, not in the legend
};

/// Points and lines over two axes.
struct LineChart {
  std::string title;
  std::string summary;  // what a person who cannot see it should know
  AxisSpec x, y;
  std::vector<Series> series;
  double width = 380;
  double height = 290;
  bool legend = true;
};
std::string draw(const LineChart& chart);

struct Bar {
  std::string label;
  double value = 0;
  int color = 0;
  std::string value_text;   // beside the bar, with the unit
  std::string source = {};  // JSON pointer of the value
  std::string title = {};
};

/// Horizontal bars from 0, each under its label.
struct BarChart {
  std::string title;
  std::string summary;
  AxisSpec value;  // linear
  std::vector<Bar> bars;
  struct Key {
    std::string name;
    int color = 0;
  };
  std::vector<Key> legend = {};
  double width = 380;
};
std::string draw(const BarChart& chart);

/// Drawings side by side in rows of `columns`, as one.
std::string grid(const std::vector<std::string>& drawings, int columns, const std::string& title);

/// A drawing as a file of its own: with its style.
std::string standalone(const std::string& svg);

}  // namespace fourge::report
