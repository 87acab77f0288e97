#include <fmt/format.h>

#include <algorithm>

#include "tools/report/chart.h"
#include "tools/report/markup.h"
#include "tools/report/page.h"
#include "tools/report/results.h"

namespace fourge::report {
namespace {

bool is_product(const Measured& result) { return result.text("operation") == "gemm" || result.is_peer(); }

// The colour of a kind, the same in every chart of the page. Libraries are dashed: two of them share W4A16's.
int product_color(const std::string& kind) {
  constexpr const char* kOrder[] = {"NVFP4, blackwell", "MXFP4, blackwell", "NVFP4, fast",  "MXFP4, fast",
                                    "oneDNN bf16",      "OpenBLAS f32",     "libxsmm bf16", "ggml MXFP4"};
  constexpr int kColors[] = {0, 1, 2, 3, 4, 7, 5, 6};
  for (std::size_t i = 0; i < std::size(kOrder); ++i) {
    if (kind == kOrder[i]) return kColors[i];
  }
  if (kind.find("W4A16") != std::string::npos) return kind.find("NVFP4") == 0 ? 5 : 6;
  return 7;
}

// One series a kind: `number` over M.
std::vector<Series> series_over_m(const std::vector<Measured>& kept,
                                  const std::function<Point(const Measured&)>& point) {
  std::vector<Series> series;
  for (const Measured& result : kept) {
    const std::string kind = kind_of(result);
    auto found = std::find_if(series.begin(), series.end(), [&](const Series& s) { return s.name == kind; });
    if (found == series.end())
      found = series.insert(
          series.end(),
          {.name = kind, .color = product_color(kind), .points = {}, .dashed = result.is_peer()});
    found->points.push_back(point(result));
  }
  for (Series& s : series)
    std::sort(s.points.begin(), s.points.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
  return series;
}

AxisSpec rows_axis() {
  return {.title = "M, rows of activations", .log = true, .ticks = {1, 4, 16, 64, 256, 1024}};
}

std::string speed_over_m(const std::vector<Measured>& kept, const Plane& plane) {
  LineChart chart;
  chart.title = fmt::format("Speed over M, {} x {} weights, one thread", plane.n, plane.k);
  chart.summary =
      "Operations a second of the best kernel of each kind, and of other libraries, over the number of rows.";
  chart.x = rows_axis();
  chart.y = {.title = "GFLOP/s (best of all runs)", .log = true};
  chart.height = 380;
  chart.series = series_over_m(kept, [](const Measured& result) {
    return Point{.x = result.number("m"),
                 .y = result.number("gops"),
                 .title = fmt::format("{}, M = {}: {} GFLOP/s", kind_of(result), result.text("m"),
                                      number_text(result.number("gops"))),
                 .source = result.pointer("gops")};
  });
  return draw(chart);
}

std::string fraction_over_m(const std::vector<Measured>& kept) {
  std::vector<Measured> bounded;
  for (const Measured& result : kept) {
    if (has_number(result.row->value("bound", Json::object()), "fraction")) bounded.push_back(result);
  }
  LineChart chart;
  chart.title = "Part of this machine's bound that is reached";
  chart.summary = "Bound divided by measured time, in percent, over the number of rows.";
  chart.x = rows_axis();
  chart.y = {.title = "% of the bound", .least = 0, .most = 100};
  chart.height = 380;
  chart.series = series_over_m(bounded, [](const Measured& result) {
    const double percent = 100 * number_of(result.row->at("bound"), "fraction");
    return Point{
        .x = result.number("m"),
        .y = percent,
        .title = fmt::format("{}, M = {}: {} % of the bound by {}", kind_of(result), result.text("m"),
                             number_text(percent), text_of(result.row->at("bound"), "by")),
        .source = result.pointer("bound/fraction")};
  });
  return draw(chart);
}

// The fastest of all kernels, at the largest M that most of them ran.
std::string fastest_kernels(const Json& document, const Plane& plane) {
  std::map<double, int> counts;
  const std::vector<Measured> all =
      results(document, [&](const Measured& r) { return is_product(r) && plane.contains(r); });
  for (const Measured& result : all) ++counts[result.number("m")];
  double m = 0;
  int most = 0;
  for (const auto& [rows, count] : counts) {
    if (count >= most) m = rows;
    most = std::max(most, count);
  }
  BarChart chart;
  chart.title = fmt::format("Fastest at {} x {} x {}, one thread", m, plane.n, plane.k);
  chart.summary = "Operations a second of every kernel that was measured at one shape.";
  chart.value = {.title = "GFLOP/s (best of all runs)"};
  for (const Measured& result : all) {
    if (result.number("m") != m) continue;
    const std::string kind = kind_of(result);
    const std::string kernel = result.text("kernel");
    const std::size_t at = kernel.rfind("__");
    const std::string isa = at == std::string::npos ? "" : ": " + kernel.substr(at + 2);
    const Json bound = result.row->value("bound", Json::object());
    std::string text = number_text(result.number("gops"));
    if (has_number(bound, "fraction"))
      text += fmt::format(" ({} % of bound)", number_text(100 * number_of(bound, "fraction"), 2));
    chart.bars.push_back({.label = kind + isa,
                          .value = result.number("gops"),
                          .color = product_color(kind),
                          .value_text = text,
                          .source = result.pointer("gops"),
                          .title = kernel + ": " + text});
  }
  std::stable_sort(chart.bars.begin(), chart.bars.end(),
                   [](const Bar& a, const Bar& b) { return a.value > b.value; });
  constexpr std::size_t kMostBars = 12;
  if (chart.bars.size() > kMostBars) chart.bars.resize(kMostBars);
  return draw(chart);
}

std::string products_table(const Json& document) {
  HtmlTable table{.headings = {"kernel", "M x N x K", "threads", "best, us", "median, us", "GFLOP/s",
                               "% of bound", "bound by", "checked"},
                  .rows = {},
                  .first_number = 2};
  for (const Measured& r : results(document, is_product)) {
    table.rows.push_back(
        {code(r.text("kernel")), escape(r.shape()), value(document, r.pointer("threads"), 1, 4),
         value(document, r.pointer("best_us"), 1, 4), value(document, r.pointer("median_us"), 1, 4),
         value(document, r.pointer("gops"), 1, 4), value(document, r.pointer("bound/fraction"), 100, 3),
         escape(text_at(document, r.pointer("bound/by"), "")), escape(r.text("verified"))});
  }
  return html(table);
}

std::string other_operations(const Json& document) {
  HtmlTable table{
      .headings = {"operation and kernel", "case", "threads", "best, us", "GB/s", "% of bound", "checked"},
      .rows = {},
      .first_number = 2};
  for (const Measured& r : results(document, [](const Measured& x) { return !is_product(x); })) {
    table.rows.push_back({escape(r.text("operation")) + " " + code(r.text("kernel")),
                          escape(r.text("footprint")), value(document, r.pointer("threads"), 1, 4),
                          value(document, r.pointer("best_us"), 1, 4),
                          value(document, r.pointer("gbps"), 1, 3),
                          value(document, r.pointer("bound/fraction"), 100, 3), escape(r.text("verified"))});
  }
  return table.rows.empty() ? "" : details("Other operations", html(table));
}

}  // namespace

std::string speed_section(const Json& document) {
  const Plane plane = main_plane(document);
  if (plane.n.empty()) return section("speed", "Speed", "", absent("No product was measured."));
  const std::vector<Measured> kept = fastest_of_each_kind(
      results(document, [&](const Measured& r) { return is_product(r) && plane.contains(r); }));
  const std::string introduction =
      "D = X W<sup>T</sup> with both operands in 4 bits. <b>blackwell</b>: the bits of a tensor core, "
      "compared with the "
      "reference before timing; <b>fast</b>: f32 sums. The libraries multiply the same matrices before "
      "quantisation. The "
      "bound is the larger of two times: the operations at the peak of the kernel's arithmetic unit, and "
      "reading the packed "
      "weights once.";
  return section(
      "speed", "Speed against bound and peers", introduction,
      chart_grid({speed_over_m(kept, plane), fraction_over_m(kept), fastest_kernels(document, plane)}) +
          details("Every product measured", products_table(document)) + other_operations(document));
}

}  // namespace fourge::report
