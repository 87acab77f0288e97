// Pieces of the page: numbers that say where they come from, tables, sections.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fourge::report {

using Json = nlohmann::ordered_json;

/// The value at a JSON pointer; null where there is none.
const Json& at(const Json& document, const std::string& pointer);
/// Its text; `absent` where it is null or missing.
std::string text_at(const Json& document, const std::string& pointer, const std::string& absent = "absent");
std::string text_of(const Json& object, const char* key, const std::string& absent = {});
/// A number of an object, or `otherwise` where the key is missing or null.
double number_of(const Json& object, const char* key, double otherwise = 0);
bool has_number(const Json& object, const char* key);

/// <span data-json=POINTER data-scale=SCALE>value * scale</span>: a reader can check it against the embedded
/// document. A dash where the value is null.
std::string value(const Json& document, const std::string& pointer, double scale = 1, int digits = 3);

/// A table that scrolls inside itself when it is too wide. Cells are HTML; columns from `first_number` on are
/// set to the right.
struct HtmlTable {
  std::vector<std::string> headings;
  std::vector<std::vector<std::string>> rows;
  std::size_t first_number = 1;
};
std::string html(const HtmlTable& table);

/// <section>: heading, a paragraph (HTML, may be empty), content.
std::string section(const std::string& id, const std::string& title, const std::string& introduction,
                    const std::string& content);
/// Charts in as many columns as fit.
std::string chart_grid(const std::vector<std::string>& charts);
/// Content that opens on demand.
std::string details(const std::string& summary, const std::string& content);
/// A sentence where something is missing: what, and why.
std::string absent(const std::string& text);
std::string code(const std::string& text);

}  // namespace fourge::report
