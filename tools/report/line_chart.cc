#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tools/report/chart.h"
#include "tools/report/frame.h"
#include "tools/report/markup.h"

namespace fourge::report {
namespace {

struct Range {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();

  void take(double value, bool log) {
    if (log && value <= 0) return;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  bool empty() const { return least > most; }
};

bool is_shown(const LineChart& chart, const Point& point) {
  return !(chart.x.log && point.x <= 0) && !(chart.y.log && point.y <= 0);
}

void draw_axes(Frame& frame, const LineChart& chart, const Axis& x, const Axis& y, double left, double top,
               double right, double bottom) {
  for (std::size_t i = 0; i < y.ticks().size(); ++i) {
    const double at = y.at(y.ticks()[i]);
    frame.line(left, at, right, at, "grid");
    frame.text(left - 6, at + 4, y.label_of(i), "end", "muted small");
  }
  for (std::size_t i = 0; i < x.ticks().size(); ++i) {
    const double at = x.at(x.ticks()[i]);
    frame.line(at, bottom, at, bottom + 4, "axis");
    frame.text(at, bottom + 16, x.label_of(i), "middle", "muted small");
  }
  frame.line(left, bottom, right, bottom, "axis");
  frame.text((left + right) / 2, bottom + 32, chart.x.title, "middle", "muted small");
  frame.text(4, top - 8, chart.y.title, "start", "muted small");
}

// Above a flat line's end, else at the beginning.
void name_line(Frame& frame, const Series& series, const Axis& x, const Axis& y) {
  const Point &first = series.points.front(), &last = series.points.back();
  if (first.y == last.y) {
    frame.text(x.at(last.x) - 2, y.at(last.y) - 5, series.name, "end", "small");
  } else {
    frame.text(x.at(first.x) + 18, y.at(first.y) + 3, series.name, "start", "small");
  }
}

void draw_series(Frame& frame, const LineChart& chart, const Series& series, const Axis& x, const Axis& y) {
  std::string path;
  for (const Point& point : series.points) {
    if (!is_shown(chart, point)) continue;
    path += fmt::format("{}{},{}", path.empty() ? "M" : "L", coordinate(x.at(point.x)),
                        coordinate(y.at(point.y)));
  }
  if (series.line && !path.empty()) {
    frame.add(fmt::format(R"(<path d="{}" class="line s{}{}"><title>{}</title></path>)", path, series.color,
                          series.dashed ? " dashed" : "", escape(series.name)));
  }
  if (series.named_at_line && !series.points.empty()) name_line(frame, series, x, y);
  if (!series.marks) return;
  for (const Point& point : series.points) {
    if (!is_shown(chart, point)) continue;
    const std::string source = point.source.empty() ? std::string()
                                                    : fmt::format(R"( data-json="{}" data-shown="{:.17g}")",
                                                                  escape(point.source), point.y);
    frame.add(mark(x.at(point.x), y.at(point.y), series.color, source,
                   point.title.empty() ? std::string() : "<title>" + escape(point.title) + "</title>"));
  }
}

}  // namespace

std::string draw(const LineChart& chart) {
  Frame frame(chart.width);
  frame.heading(chart.title);
  if (chart.legend) {
    std::vector<LegendEntry> entries;
    for (const Series& series : chart.series) {
      if (series.named_at_line) continue;
      entries.push_back({series.name, series.color, series.line, series.dashed, series.marks});
    }
    frame.legend(entries);
  }
  Range range_x, range_y;
  for (const Series& series : chart.series) {
    for (const Point& point : series.points) {
      if (!is_shown(chart, point)) continue;
      range_x.take(point.x, chart.x.log);
      range_y.take(point.y, chart.y.log);
    }
  }
  if (range_x.empty()) {
    frame.text(4, frame.bottom() + 18, "no data", "start", "muted");
    return frame.svg(frame.bottom() + 30, chart.title, chart.summary);
  }
  const double left = 46, right = chart.width - 20, top = frame.bottom() + 22;
  const double bottom = top + chart.height - 90;
  const Axis x(chart.x, range_x.least, range_x.most, left, right, static_cast<int>((right - left) / 48));
  const Axis y(chart.y, range_y.least, range_y.most, bottom, top, static_cast<int>((bottom - top) / 34));
  frame.add(fmt::format(R"(<g class="plot" data-y-axis="{}">)", y.description()));
  draw_axes(frame, chart, x, y, left, top, right, bottom);
  for (const Series& series : chart.series) draw_series(frame, chart, series, x, y);
  frame.add("</g>");
  return frame.svg(bottom + 40, chart.title, chart.summary);
}

}  // namespace fourge::report
