#include <fmt/format.h>

#include "tools/report/markup.h"
#include "tools/report/page.h"

namespace fourge::report {

std::string evidence_section(const Json& document) {
  const char* const kTitle = "What the reference rests on";
  const Json& models = at(document, "/evidence");
  if (!models.is_array() || models.empty())
    return section("evidence", kTitle, "", absent("The document has no evidence table."));
  HtmlTable table{.headings = {"model", "rests on", "source", "fraction bits", "products a sum", "rounding"},
                  .rows = {},
                  .first_number = 3};
  for (std::size_t i = 0; i < models.size(); ++i) {
    const Json& model = models[i];
    const std::string pointer = fmt::format("/evidence/{}/", i);
    table.rows.push_back({code(text_of(model, "name")), "<b>" + escape(text_of(model, "evidence")) + "</b>",
                          escape(text_of(model, "source")), value(document, pointer + "fraction_bits", 1, 4),
                          value(document, pointer + "products_per_sum", 1, 4),
                          escape(text_of(model, "rounding"))});
  }
  return section("evidence", kTitle,
                 "Every model of a tensor-core instruction, with the strongest thing known about it: "
                 "hardware (measured on the silicon "
                 "named), simulator (MMA-Sim, whose authors compared it with silicon), inferred (from a near "
                 "relative). docs/numerics.md "
                 "has the counts.",
                 html(table));
}

}  // namespace fourge::report
