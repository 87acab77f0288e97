#include "tools/report/study_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "tools/report/chart.h"
#include "tools/report/markup.h"

namespace fourge::report {
namespace {

constexpr const char* kDistributions[] = {"normal", "laplace", "student-t5", "student-t3"};
constexpr const char* kFormats[] = {"nvfp4", "mxfp4"};
constexpr int kPublishedColor = 7;

// Rotations in equal steps: none, 16, 32, 128.
double position_of(std::int64_t rotation) {
  constexpr std::int64_t kRotations[] = {0, 16, 32, 128};
  const auto* const found = std::find(std::begin(kRotations), std::end(kRotations), rotation);
  return static_cast<double>(found - std::begin(kRotations));
}

Point point_of(const Json& cell, const std::string& pointer) {
  const std::int64_t rotation = cell.at("rotation");
  const double error = cell.at("relative_mse");
  return {.x = position_of(rotation),
          .y = 1e3 * error,
          .title = fmt::format("{} {}, rotation {}: {}e-3", cell.at("format").get<std::string>(),
                               cell.at("rule").get<std::string>(),
                               rotation == 0 ? "none" : std::to_string(rotation), number_text(1e3 * error)),
          .source = pointer + "/relative_mse"};
}

void add_published(const Json& cell, const std::string& pointer, Series& series) {
  const Json& published = cell.at("published");
  for (std::size_t i = 0; i < published.size(); ++i) {
    const double value = published[i].at("relative_mse");
    series.points.push_back(
        {.x = position_of(cell.at("rotation")),
         .y = 1e3 * value,
         .title = fmt::format("published, {} {}: {}e-3", published[i].at("source").get<std::string>(),
                              cell.at("rule").get<std::string>(), number_text(1e3 * value)),
         .source = fmt::format("{}/published/{}/relative_mse", pointer, i)});
  }
}

std::string study_chart(const Json& study, const std::string& pointer, const std::string& distribution,
                        const std::string& format) {
  LineChart chart;
  chart.title = fmt::format("{}, {} values", format == "nvfp4" ? "NVFP4" : "MXFP4", distribution);
  chart.summary = "Relative mean squared error of each scale rule over the order of the Hadamard rotation.";
  chart.x = {.title = "order of the Hadamard rotation",
             .least = -0.2,
             .most = 3.2,
             .ticks = {0, 1, 2, 3},
             .labels = {"none", "16", "32", "128"}};
  chart.y = {.title = "relative mean squared error, 10^-3"};
  Series published{.name = "published", .color = kPublishedColor, .points = {}, .line = false};
  std::map<std::string, std::size_t> index;
  const Json& cells = study.at("cells");
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Json& cell = cells[i];
    if (cell.at("distribution") != distribution || cell.at("format") != format) continue;
    const auto [entry, is_new] = index.try_emplace(cell.at("rule"), chart.series.size());
    if (is_new)
      chart.series.push_back({.name = cell.at("rule"),
                              .color = static_cast<int>(entry->second) % kPublishedColor,
                              .points = {}});
    const std::string at = fmt::format("{}/cells/{}", pointer, i);
    chart.series[entry->second].points.push_back(point_of(cell, at));
    add_published(cell, at, published);
  }
  if (!published.points.empty()) chart.series.push_back(std::move(published));
  double least = 1e9;
  for (const Series& series : chart.series) {
    for (const Point& point : series.points) least = std::min(least, point.y);
  }
  chart.y.least = std::floor(0.95 * least);
  return draw(chart);
}

}  // namespace

std::vector<std::string> study_charts(const Json& study, const std::string& pointer) {
  std::vector<std::string> charts;
  for (const char* format : kFormats) {
    for (const char* distribution : kDistributions)
      charts.push_back(study_chart(study, pointer, distribution, format));
  }
  return charts;
}

}  // namespace fourge::report
