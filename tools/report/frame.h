// What every chart has: heading, legend, and the SVG element around them.
#pragma once

#include <string>
#include <vector>

namespace fourge::report {

/// Width of text in 12-pixel type, about.
double text_width(const std::string& text, double size = 12);

struct LegendEntry {
  std::string name;
  int color = 0;
  bool line = false;  // a stroke with a mark, or (false) a mark alone
  bool dashed = false;
  bool mark = true;
};

/// Collects the elements of a chart from top to bottom.
class Frame {
 public:
  explicit Frame(double width) : width_(width) {}

  /// The title, broken into lines as wide as the chart; returns the y below it.
  double heading(const std::string& title);
  /// Entries in as many lines as needed, below what is there.
  double legend(const std::vector<LegendEntry>& entries);

  void add(const std::string& element) { body_ += element + "\n"; }
  void text(double x, double y, const std::string& text, const char* anchor = "start",
            const char* style = "");
  void line(double x1, double y1, double x2, double y2, const char* style);
  double width() const { return width_; }
  double bottom() const { return bottom_; }

  /// <svg> ... </svg>, `height` high.
  std::string svg(double height, const std::string& title, const std::string& summary) const;

 private:
  double width_;
  double bottom_ = 4;
  std::string body_;
};

/// The entries as a paragraph of HTML, for several charts together.
std::string html_legend(const std::vector<LegendEntry>& entries);

/// A mark of the colour's own shape: circle, square, diamond, triangle. `content` goes into the element.
std::string mark(double x, double y, int color, const std::string& attributes = {},
                 const std::string& content = {});

}  // namespace fourge::report
