#include <fmt/format.h>

#include <algorithm>

#include "tools/report/chart.h"
#include "tools/report/markup.h"
#include "tools/report/page.h"

namespace fourge::report {
namespace {

int format_color(const std::string& name) {
  return name.find("nvfp4") != std::string::npos ? 0 : name.find("mxfp4") != std::string::npos ? 1 : 7;
}

// Bits per byte over the float model's, best first.
std::string models_chart(const Json& document, const std::string& activations) {
  BarChart chart;
  chart.title =
      fmt::format("Bits per byte over the float model, {}", activations == "w4a4" ? "W4A4" : "W4A16");
  chart.summary = "What each recipe costs, less is better.";
  chart.value = {.title = "bits per byte over float"};
  chart.legend = {{"NVFP4", 0}, {"MXFP4", 1}};
  const Json& rows = at(document, "/models/rows");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string name = text_of(rows[i], "name");
    if (text_of(rows[i], "activations") != activations || !has_number(rows[i], "over_float")) continue;
    const double over = number_of(rows[i], "over_float");
    std::string text = fmt::format("{:+.4f}", over);
    if (number_of(rows[i], "error") > 0) text += fmt::format(" ± {:.4f}", number_of(rows[i], "error"));
    chart.bars.push_back({.label = name,
                          .value = std::max(over, 0.0),
                          .color = format_color(name),
                          .value_text = text,
                          .source = over >= 0 ? fmt::format("/models/rows/{}/over_float", i) : ""});
  }
  std::stable_sort(chart.bars.begin(), chart.bars.end(),
                   [](const Bar& a, const Bar& b) { return a.value < b.value; });
  return chart.bars.empty() ? "" : draw(chart);
}

std::string models_table(const Json& document) {
  HtmlTable table{.headings = {"recipe", "bits per byte", "over float", "standard error", "quantise, s"},
                  .rows = {}};
  const Json& rows = at(document, "/models/rows");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string pointer = fmt::format("/models/rows/{}/", i);
    table.rows.push_back({escape(text_of(rows[i], "name")), value(document, pointer + "bits_per_byte", 1, 6),
                          value(document, pointer + "over_float", 1, 3),
                          value(document, pointer + "error", 1, 2),
                          value(document, pointer + "seconds", 1, 3)});
  }
  return html(table);
}

}  // namespace

std::string models_section(const Json& document) {
  const char* const kTitle = "Bits per byte by recipe";
  if (at(document, "/models/rows").empty())
    return section("models", kTitle, "", absent(text_at(document, "/models/absent", "Not computed.")));
  std::vector<std::string> charts;
  for (const char* activations : {"w4a4", "w4a16"}) {
    const std::string chart = models_chart(document, activations);
    if (!chart.empty()) charts.push_back(chart);
  }
  const std::string introduction = fmt::format(
      "{}. The float model: {} bits per byte. Errors are standard errors of the difference to the float "
      "model over windows.",
      escape(text_at(document, "/models/source", "")), value(document, "/models/float_bits_per_byte", 1, 6));
  const Json& why = at(document, "/models/absent");
  return section(
      "models", kTitle, introduction,
      chart_grid(charts) + models_table(document) + (why.is_string() ? absent(why.get<std::string>()) : ""));
}

}  // namespace fourge::report
