#include <fmt/format.h>

#include <algorithm>

#include "tools/report/chart.h"
#include "tools/report/frame.h"
#include "tools/report/markup.h"

namespace fourge::report {
namespace {

constexpr double kBarHeight = 10, kPitch = 33;

void draw_bar(Frame& frame, const Bar& bar, const Axis& axis, double top, double right) {
  const double y = top + 17;
  frame.text(4, top + 12, bar.label, "start", "small");
  frame.text(right, top + 12, bar.value_text, "end", "small");
  frame.add(fmt::format(R"(<rect x="4" y="{}" width="{}" height="{}" rx="2" class="track"/>)", coordinate(y),
                        coordinate(right - 4), coordinate(kBarHeight)));
  const std::string source = bar.source.empty() ? std::string()
                                                : fmt::format(R"( data-json="{}" data-shown="{:.17g}")",
                                                              escape(bar.source), bar.value);
  frame.add(fmt::format(
      R"(<rect x="4" y="{}" width="{}" height="{}" rx="2" class="bar f{}"{}><title>{}</title></rect>)",
      coordinate(y), coordinate(std::max(axis.at(bar.value) - 4, 0.0)), coordinate(kBarHeight), bar.color,
      source, escape(bar.title.empty() ? bar.label + ": " + bar.value_text : bar.title)));
}

}  // namespace

std::string draw(const BarChart& chart) {
  Frame frame(chart.width);
  frame.heading(chart.title);
  std::vector<LegendEntry> entries;
  for (const BarChart::Key& key : chart.legend) entries.push_back({key.name, key.color});
  frame.legend(entries);
  double most = 0;
  for (const Bar& bar : chart.bars) most = std::max(most, bar.value);
  if (chart.bars.empty()) {
    frame.text(4, frame.bottom() + 18, "no data", "start", "muted");
    return frame.svg(frame.bottom() + 30, chart.title, chart.summary);
  }
  const double right = chart.width - 4;
  const Axis axis(chart.value, 0, most, 4, right, 5);
  double top = frame.bottom();
  frame.add(fmt::format(R"(<g class="bars" data-x-axis="{}">)", axis.description()));
  for (const Bar& bar : chart.bars) {
    draw_bar(frame, bar, axis, top, right);
    top += kPitch;
  }
  frame.add("</g>");
  for (const double tick : axis.ticks()) {
    const char* anchor = tick == axis.least() ? "start" : tick >= axis.most() * (1 - 1e-9) ? "end" : "middle";
    frame.line(axis.at(tick), top, axis.at(tick), top + 4, "axis");
    frame.text(axis.at(tick), top + 15, Axis::label(tick), anchor, "muted small");
  }
  frame.line(4, top, right, top, "axis");
  frame.text((4 + right) / 2, top + 30, chart.value.title, "middle", "muted small");
  return frame.svg(top + 38, chart.title, chart.summary);
}

}  // namespace fourge::report
