#include <fmt/format.h>

#include "tools/report/markup.h"
#include "tools/report/page.h"

namespace fourge::report {
namespace {

std::string registers_table(const Json& kernel) {
  HtmlTable table{.headings = {"registers", "role"}, .rows = {}, .first_number = 2};
  const auto registers = kernel.find("registers");
  if (registers == kernel.end()) return "";
  for (const Json& entry : *registers) {
    if (!entry.is_array() || entry.size() != 2) continue;
    table.rows.push_back({code(entry[0].get<std::string>()), escape(entry[1].get<std::string>())});
  }
  return table.rows.empty() ? "" : "<h3>Registers</h3>\n" + html(table);
}

// What each kernel is for, and the first line of its budget.
std::string budgets_table(const Json& kernels) {
  HtmlTable table{
      .headings = {"for", "kernel", "port budget of the inner step"}, .rows = {}, .first_number = 3};
  for (const Json& kernel : kernels) {
    const std::string budget = text_of(kernel, "budget", "none stated");
    table.rows.push_back({escape(text_of(kernel, "spec")), code(text_of(kernel, "name")),
                          escape(budget.substr(0, budget.find('\n')))});
  }
  return html(table);
}

std::string kernel_of(const Json& document, const Json& kernel, std::size_t index) {
  const double bytes = number_of(kernel, "bytes");
  std::string content = fmt::format(
      "<p>{}. Level {}, {}. {}</p>\n", escape(text_of(kernel, "spec")), escape(text_of(kernel, "isa")),
      escape(text_of(kernel, "exactness")),
      bytes > 0 ? value(document, fmt::format("/kernels/{}/bytes", index), 1, 6) + " bytes of machine code."
                : std::string("Compiled C++: no generated code."));
  if (!text_of(kernel, "budget").empty())
    content += "<h3>Port budget</h3>\n<pre tabindex=\"0\">" + escape(text_of(kernel, "budget")) + "</pre>\n";
  if (!text_of(kernel, "plan").empty())
    content += "<p>Cache blocks: " + escape(text_of(kernel, "plan")) + "</p>\n";
  content += registers_table(kernel);
  const std::string listing = text_of(kernel, "listing");
  if (!listing.empty()) {
    content += "<h3>Listing</h3>\n<pre tabindex=\"0\">" + escape(listing) + "</pre>\n";
  } else if (bytes > 0) {
    content += absent(text_of(kernel, "listing_absent", "No listing."));
  }
  return details(text_of(kernel, "name"), content);
}

}  // namespace

std::string kernels_section(const Json& document) {
  const Json& kernels = at(document, "/kernels");
  if (!kernels.is_array() || kernels.empty())
    return section("kernels", "Kernels", "", absent("None were generated."));
  std::string content = budgets_table(kernels);
  for (std::size_t i = 0; i < kernels.size(); ++i) content += kernel_of(document, kernels[i], i);
  return section("kernels", "Kernels, with their port budgets",
                 "What the dispatcher chose here, as it was generated. Open one to read it.", content);
}

}  // namespace fourge::report
