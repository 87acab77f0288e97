#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tools/report/chart.h"
#include "tools/report/frame.h"
#include "tools/report/markup.h"
#include "tools/report/page.h"

namespace fourge::report {
namespace {

// "model.layers.3.mlp.up_proj": block 3, kind "up_proj".
struct LayerName {
  double block = 0;
  std::string kind;
};
LayerName split_layer(const std::string& name) {
  const std::size_t layers = name.find("layers.");
  if (layers == std::string::npos) return {0, name};
  std::string kind = name.substr(name.rfind('.') + 1);
  return {std::atof(name.c_str() + layers + 7), std::move(kind)};
}

std::vector<std::string> layer_kinds(const Json& layers) {
  std::vector<std::string> found;
  for (const Json& layer : layers) {
    const std::string kind = split_layer(text_of(layer, "name")).kind;
    if (std::find(found.begin(), found.end(), kind) == found.end()) found.push_back(kind);
  }
  return found;
}

// Error over the blocks of one kind of layer, a line for each recipe. `part` is "weights" or "outputs".
std::string layer_chart(const Json& document, const std::string& part, const std::string& kind) {
  LineChart chart;
  chart.title = kind;
  chart.summary = "Relative squared error of this layer in every block, by recipe.";
  chart.x = {.title = "block", .ticks = {}};
  chart.y = {.title = part == "weights" ? "weights, relative squared error, 10^-3"
                                        : "outputs, relative squared error, 10^-3"};
  chart.height = 250;
  chart.legend = false;
  const std::string base = "/layers/" + part;
  const Json& recipes = at(document, base);
  double last = 0;
  for (std::size_t r = 0; r < recipes.size(); ++r) {
    Series series{.name = text_of(recipes[r], "recipe"), .color = static_cast<int>(r) % 8, .points = {}};
    const Json& layers = recipes[r].at("layers");
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const LayerName name = split_layer(text_of(layers[i], "name"));
      if (name.kind != kind) continue;
      const double error = 1e3 * number_of(layers[i], "error");
      last = std::max(last, name.block);
      series.points.push_back(
          {.x = name.block,
           .y = error,
           .title = fmt::format("{}, {}: {}e-3", series.name, text_of(layers[i], "name"), number_text(error)),
           .source = fmt::format("{}/{}/layers/{}/error", base, r, i)});
    }
    chart.series.push_back(std::move(series));
  }
  for (double block = 0; block <= last; block += std::max(1.0, std::ceil(last / 8)))
    chart.x.ticks.push_back(block);
  chart.x.least = last > 0 ? -0.2 : -1;
  chart.x.most = last > 0 ? last + 0.2 : 1;
  return draw(chart);
}

std::string legend_of(const Json& recipes) {
  std::vector<LegendEntry> entries;
  for (std::size_t r = 0; r < recipes.size(); ++r)
    entries.push_back({text_of(recipes[r], "recipe"), static_cast<int>(r) % 8, true});
  return html_legend(entries);
}

std::string part_of(const Json& document, const std::string& part, const std::string& title) {
  const Json& recipes = at(document, "/layers/" + part);
  if (!recipes.is_array() || recipes.empty()) return "";
  std::vector<std::string> charts;
  for (const std::string& kind : layer_kinds(recipes[0].at("layers")))
    charts.push_back(layer_chart(document, part, kind));
  HtmlTable table{.headings = {"recipe", "mean over layers, 10<sup>-3</sup>"}, .rows = {}};
  for (std::size_t r = 0; r < recipes.size(); ++r)
    table.rows.push_back({escape(text_of(recipes[r], "recipe")),
                          value(document, fmt::format("/layers/{}/{}/mean", part, r), 1e3, 3)});
  return "<h3>" + escape(title) + "</h3>\n" + html(table) + legend_of(recipes) + chart_grid(charts);
}

}  // namespace

std::string layers_section(const Json& document) {
  const char* const kTitle = "Quantisation error by recipe and layer";
  const std::string content = part_of(document, "weights", "Weights: ||W - W'||² / ||W||²") +
                              part_of(document, "outputs", "Outputs on a text: ||y - y'||² / ||y||²");
  if (content.empty())
    return section("layers", kTitle, "", absent(text_at(document, "/layers/absent", "Not computed.")));
  const Json& why = at(document, "/layers/absent");
  return section("layers", kTitle, "Model: " + escape(text_at(document, "/layers/model", "not named")) + ".",
                 content + (why.is_string() ? absent(why.get<std::string>()) : ""));
}

}  // namespace fourge::report
