#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tools/report/chart.h"
#include "tools/report/markup.h"
#include "tools/report/page.h"

namespace fourge::report {
namespace {

struct SweepAxis {
  const char* sweep;
  const char* key;
  const char* title;
};
constexpr SweepAxis kSweeps[] = {{"M", "m", "M, rows of activations"},
                                 {"N", "n", "N, rows of weights"},
                                 {"K", "k", "K"},
                                 {"threads", "threads", "threads"}};

std::string series_name(const Json& row) {
  return fmt::format("{}, {}", text_of(row, "format") == "nvfp4" ? "NVFP4" : "MXFP4",
                     text_of(row, "numerics"));
}

// Sizes that a sweep holds fixed, as text; the sweep over threads has several.
std::string fixed_sizes(const Json& point, const std::string& varied) {
  std::string text;
  for (const char* key : {"m", "n", "k"}) {
    if (varied == key) continue;
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", static_cast<char>(*key - 'a' + 'A'),
                        text_of(point, key));
  }
  return text;
}

// Measured as marks, the model as a line, of one sweep.
std::string sweep_chart(const Json& document, const SweepAxis& axis, const std::string& fixed) {
  LineChart chart;
  chart.title = fmt::format("Time over {} ({})", axis.sweep, fixed);
  chart.summary = "Measured times as marks, the fitted model as lines.";
  chart.x = {.title = axis.title, .log = true};
  chart.y = {.title = "microseconds (best of all runs)", .log = true};
  std::map<std::string, std::size_t> index;
  const Json& points = at(document, "/scaling/points");
  std::vector<double> ticks;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Json& point = points[i];
    if (text_of(point, "sweep") != axis.sweep || fixed_sizes(point, axis.key) != fixed) continue;
    const std::string name = series_name(point);
    const auto [entry, is_new] = index.try_emplace(name, chart.series.size());
    if (is_new) {
      const int color = static_cast<int>(index.size() - 1) % 4;
      chart.series.push_back({.name = name, .color = color, .points = {}, .line = false});
      chart.series.push_back(
          {.name = "model, " + name, .color = color, .points = {}, .marks = false, .named_at_line = false});
    }
    const double x = number_of(point, axis.key), best = number_of(point, "best_us"),
                 model = number_of(point, "model_us");
    ticks.push_back(x);
    chart.series[entry->second].points.push_back(
        {.x = x,
         .y = best,
         .title = fmt::format("{}, {} = {}: {} us, model {} us", name, axis.sweep, x, number_text(best),
                              number_text(model)),
         .source = fmt::format("/scaling/points/{}/best_us", i)});
    chart.series[entry->second + 1].points.push_back({.x = x, .y = model});
  }
  std::sort(ticks.begin(), ticks.end());
  ticks.erase(std::unique(ticks.begin(), ticks.end()), ticks.end());
  if (ticks.size() > 1) chart.x.least = ticks.front(), chart.x.most = ticks.back();
  for (std::size_t i = 0, step = ticks.size() > 7 ? 2 : 1; i < ticks.size(); i += step)
    chart.x.ticks.push_back(ticks[i]);
  return draw(chart);
}

std::vector<std::string> sweep_charts(const Json& document) {
  std::vector<std::string> out;
  for (const SweepAxis& axis : kSweeps) {
    std::vector<std::string> variants;
    for (const Json& point : at(document, "/scaling/points")) {
      if (text_of(point, "sweep") != axis.sweep) continue;
      const std::string fixed = fixed_sizes(point, axis.key);
      if (std::find(variants.begin(), variants.end(), fixed) == variants.end()) variants.push_back(fixed);
    }
    for (const std::string& fixed : variants) out.push_back(sweep_chart(document, axis, fixed));
  }
  return out;
}

std::string fits_table(const Json& document) {
  HtmlTable table{.headings = {"kernel", "overhead, us", "GFLOP/s", "GB/s", "preparation, ns", "mean off, %",
                               "worst off, %", "points"},
                  .rows = {}};
  const Json& fits = at(document, "/scaling/fits");
  for (std::size_t i = 0; i < fits.size(); ++i) {
    const std::string pointer = fmt::format("/scaling/fits/{}/", i);
    table.rows.push_back(
        {code(text_of(fits[i], "kernel")), value(document, pointer + "overhead_us"),
         value(document, pointer + "gops", 1, 4), value(document, pointer + "gbps"),
         value(document, pointer + "row_step_ns"), value(document, pointer + "mean_deviation", 100, 2),
         value(document, pointer + "worst_deviation", 100, 2), value(document, pointer + "points", 1, 4)});
  }
  return html(table);
}

// Points where the model is off by more than its tolerance.
std::string misses_table(const Json& document) {
  HtmlTable table{
      .headings = {"kernel", "M x N x K", "threads", "measured, us", "model, us", "model off, %", "why"},
      .rows = {},
      .first_number = 2};
  const Json& points = at(document, "/scaling/points");
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Json& point = points[i];
    if (text_of(point, "explanation").empty()) continue;
    const std::string pointer = fmt::format("/scaling/points/{}/", i);
    table.rows.push_back(
        {code(text_of(point, "kernel")),
         fmt::format("{}x{}x{}", text_of(point, "m"), text_of(point, "n"), text_of(point, "k")),
         value(document, pointer + "threads", 1, 4), value(document, pointer + "best_us", 1, 4),
         value(document, pointer + "model_us", 1, 4), value(document, pointer + "deviation", 100, 2),
         escape(text_of(point, "explanation"))});
  }
  if (table.rows.empty()) return "<p>The model is within 20 % of every point.</p>\n";
  return details(fmt::format("{} of {} points where the model is off by more than 20 %, and why",
                             table.rows.size(), points.size()),
                 html(table));
}

}  // namespace

std::string scaling_section(const Json& document) {
  const char* const kTitle = "Scaling and a cost model";
  if (at(document, "/scaling/points").empty())
    return section(
        "scaling", kTitle, "",
        absent(
            "Not measured. fourge scaling --out FILE measures it; fourge report --scaling FILE takes it."));
  std::string introduction =
      "Time = overhead + operations / rate + bytes / bandwidth + rows of activations x steps of K = 64 x "
      "preparation, fitted to one "
      "thread's times of each kernel by least squares of relative differences. For more threads the model "
      "divides all but the "
      "overhead. A dash: the fit has no such term.";
  if (const std::string machine = text_at(document, "/scaling/cpu", ""); !machine.empty())
    introduction += " Measured on: " + escape(machine) + ".";
  return section("scaling", kTitle, introduction,
                 fits_table(document) + chart_grid(sweep_charts(document)) + misses_table(document));
}

}  // namespace fourge::report
