#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/report/chart.h"
#include "tools/report/markup.h"
#include "tools/report/page.h"
#include "tools/report/results.h"

namespace fourge::report {
namespace {

struct Roof {
  const char* key;
  const char* name;
  int color;
};
constexpr Roof kUnits[] = {
    {"amx_bf16_gflops", "AMX bf16", 6}, {"vnni_int8_gops", "VNNI int8", 5}, {"fma_f32_gflops", "FMA f32", 7}};
constexpr Roof kLevels[] = {
    {"read_gbps_l2", "L2", 4}, {"read_gbps_l3", "L3", 4}, {"read_gbps_dram", "memory", 4}};

const Json* peaks_of_one_thread(const Json& document) {
  for (const Json& peaks : at(document, "/context/peaks")) {
    if (number_of(peaks, "threads") == 1) return &peaks;
  }
  return nullptr;
}

Series roof(const std::string& name, int color, std::vector<Point> points, bool dashed) {
  return {.name = name,
          .color = color,
          .points = std::move(points),
          .dashed = dashed,
          .marks = false,
          .named_at_line = true};
}

// Flat lines: arithmetic. Slopes: bytes a second times operations a byte, up to the highest flat line.
std::vector<Series> roofs(const Json& peaks, double least, double most) {
  std::vector<Series> series;
  double highest = 0;
  for (const Roof& unit : kUnits) {
    if (!has_number(peaks, unit.key)) continue;
    const double gops = number_of(peaks, unit.key);
    highest = std::max(highest, gops);
    series.push_back(roof(fmt::format("{} {} GFLOP/s", unit.name, number_text(gops)), unit.color,
                          {{least, gops}, {most, gops}}, false));
  }
  for (const Roof& level : kLevels) {
    if (!has_number(peaks, level.key) || highest == 0) continue;
    const double gbps = number_of(peaks, level.key), end = std::clamp(highest / gbps, least, most);
    series.push_back(roof(fmt::format("{} {} GB/s", level.name, number_text(gbps)), level.color,
                          {{least, gbps * least}, {end, gbps * end}}, true));
  }
  return series;
}

std::vector<Series> measured(const std::vector<Measured>& kept) {
  std::vector<Series> series;
  for (const Measured& result : kept) {
    const std::string kind = kind_of(result);
    auto found = std::find_if(series.begin(), series.end(), [&](const Series& s) { return s.name == kind; });
    if (found == series.end()) {
      const int color = kind == "NVFP4, blackwell"   ? 0
                        : kind == "MXFP4, blackwell" ? 1
                        : kind == "NVFP4, fast"      ? 2
                                                     : 3;
      found = series.insert(series.end(), {.name = kind, .color = color, .points = {}, .line = false});
    }
    found->points.push_back(
        {.x = result.number("intensity"),
         .y = result.number("gops"),
         .title = fmt::format("{} {}: {} GFLOP/s at {} operations a byte", kind, result.shape(),
                              number_text(result.number("gops")), number_text(result.number("intensity"))),
         .source = result.pointer("gops")});
  }
  return series;
}

}  // namespace

std::string roofline_section(const Json& document) {
  const char* const kTitle = "Roofline";
  const Json* const peaks = peaks_of_one_thread(document);
  if (peaks == nullptr)
    return section("roofline", kTitle, "", absent("The peaks of one thread were not measured."));
  const std::vector<Measured> kept = fastest_of_each_kind(results(document, [](const Measured& r) {
    return r.text("operation") == "gemm" && r.text("threads") == "1" && r.number("intensity") > 0 &&
           r.text("activations") == "same";
  }));
  if (kept.empty())
    return section("roofline", kTitle, "", absent("No product was measured with one thread."));
  double least = 1e9, most = 0;
  for (const Measured& result : kept) {
    least = std::min(least, result.number("intensity"));
    most = std::max(most, result.number("intensity"));
  }
  least = std::pow(10, std::floor(std::log10(least)));
  most = std::pow(10, std::ceil(std::log10(most)));
  LineChart chart;
  chart.title = "Products under the roofs of one thread";
  chart.summary =
      "Operations a second over operations a byte of packed weights, with the measured peaks as roofs.";
  chart.x = {.title = "operations a byte of packed weights", .log = true, .least = least, .most = most};
  chart.y = {.title = "GFLOP/s", .log = true};
  chart.series = roofs(*peaks, least, most);
  for (Series& series : measured(kept)) chart.series.push_back(std::move(series));
  const std::string narrow = draw(chart);
  chart.width = 1170;
  chart.height = 480;
  return section("roofline", kTitle,
                 "Every product measured with one thread, at the operations that it does for each byte of "
                 "packed weights "
                 "(2 M N K over the bytes). Flat lines are arithmetic peaks, dashed slopes reading at the "
                 "bandwidth of each "
                 "level; all measured in the same run.",
                 "<div class=\"wide\"><figure class=\"narrow\">" + narrow +
                     "</figure><figure class=\"broad\">" + draw(chart) + "</figure></div>\n");
}

}  // namespace fourge::report
