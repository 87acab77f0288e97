#include <fmt/format.h>

#include "tools/report/markup.h"
#include "tools/report/page.h"
#include "tools/report/study_charts.h"

namespace fourge::report {
namespace {

std::string published_text(const Json& document, const Json& cell, const std::string& pointer) {
  std::string text;
  for (std::size_t i = 0; i < cell.at("published").size(); ++i) {
    const Json& published = cell.at("published")[i];
    text += (text.empty() ? "" : ", ") + escape(text_of(published, "source")) + " " +
            value(document, fmt::format("{}/published/{}/relative_mse", pointer, i), 1e3, 3);
  }
  return text;
}

std::string study_table(const Json& document) {
  HtmlTable table{.headings = {"distribution", "recipe", "relative MSE, 10<sup>-3</sup>",
                               "of the largest of 128", "published"},
                  .rows = {},
                  .first_number = 2};
  const Json& cells = at(document, "/study/cells");
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Json& cell = cells[i];
    const std::string pointer = fmt::format("/study/cells/{}", i);
    const std::string rotation = text_of(cell, "rotation");
    table.rows.push_back({escape(text_of(cell, "distribution")),
                          escape(text_of(cell, "format") + " " + text_of(cell, "rule") +
                                 (rotation == "0" ? "" : " H" + rotation)),
                          value(document, pointer + "/relative_mse", 1e3, 3),
                          value(document, pointer + "/relative_mse_of_largest", 1e3, 3),
                          published_text(document, cell, pointer)});
  }
  return html(table);
}

}  // namespace

std::string study_section(const Json& document) {
  const char* const kTitle = "Error on random values";
  if (at(document, "/study/cells").empty())
    return section("study", kTitle, "", absent("Not computed. fourge study --out DIR does it."));
  int compared = 0, agreeing = 0;
  for (const Json& cell : at(document, "/study/cells")) {
    for (const Json& published : cell.at("published")) {
      ++compared;
      agreeing += published.value("agrees", false) ? 1 : 0;
    }
  }
  const std::string introduction = fmt::format(
      "Mean squared error over mean square, after rotation, quantisation, decoding and rotation back, on {} "
      "matrices of {} x {} values "
      "of each distribution. {} of {} published values agree (within 2 %; Student's t with 3 degrees, whose "
      "draws scatter: see "
      "docs/study.md).",
      text_at(document, "/study/draws"), text_at(document, "/study/rows"), text_at(document, "/study/cols"),
      agreeing, compared);
  return section("study", kTitle, introduction,
                 chart_grid(study_charts(at(document, "/study"), "/study")) +
                     details("All values", study_table(document)));
}

}  // namespace fourge::report
