#include <fmt/format.h>

#include "tools/report/chart.h"
#include "tools/report/markup.h"
#include "tools/report/page.h"

namespace fourge::report {

std::string certified_section(const Json& document) {
  const char* const kTitle = "Certified share";
  const Json& rows = at(document, "/certified");
  if (!rows.is_array() || rows.empty()) return section("certified", kTitle, "", absent("Not measured."));
  HtmlTable table{
      .headings = {"data", "format", "kernel", "% by segments", "% by steps of K = 64", "% general"},
      .rows = {},
      .first_number = 3};
  BarChart chart;
  chart.title = "Vectors that take a proved short path";
  chart.summary = "Share of vectors of 16 outputs over one step whose exactness is proved beforehand.";
  chart.value = {.title = "% of vectors", .most = 100.0};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Json& row = rows[i];
    const std::string pointer = fmt::format("/certified/{}/", i);
    table.rows.push_back({escape(text_of(row, "data")), escape(text_of(row, "format")),
                          code(text_of(row, "kernel")), value(document, pointer + "segments", 100, 4),
                          value(document, pointer + "steps", 100, 4),
                          value(document, pointer + "general", 100, 4)});
    const double percent = 100 * number_of(row, "certified");
    chart.bars.push_back(
        {.label = fmt::format("{}, {}", text_of(row, "format") == "nvfp4" ? "NVFP4" : "MXFP4",
                              text_of(row, "data")),
         .value = percent,
         .color = text_of(row, "format") == "nvfp4" ? 0 : 1,
         .value_text = fmt::format("{:.4g} %", percent),
         .source = pointer + "certified"});
  }
  return section("certified", kTitle,
                 "Where a few numbers for each row prove that nothing is cut off, ordinary arithmetic gives "
                 "the tensor core's "
                 "bits; every other vector takes the general path, which is exact for any input and slower.",
                 chart_grid({draw(chart)}) + html(table));
}

}  // namespace fourge::report
