#include "tools/report/html.h"

#include <fmt/format.h>

#include "tools/report/markup.h"

namespace fourge::report {

const Json& at(const Json& document, const std::string& pointer) {
  static const Json none;
  const Json::json_pointer place(pointer);
  return document.contains(place) ? document.at(place) : none;
}

std::string text_at(const Json& document, const std::string& pointer, const std::string& absent) {
  const Json& found = at(document, pointer);
  if (found.is_null()) return absent;
  return found.is_string() ? found.get<std::string>() : found.dump();
}

std::string text_of(const Json& object, const char* key, const std::string& absent) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return absent;
  return found->is_string() ? found->get<std::string>() : found->dump();
}

double number_of(const Json& object, const char* key, double otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}

bool has_number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number();
}

std::string value(const Json& document, const std::string& pointer, double scale, int digits) {
  const Json& found = at(document, pointer);
  if (!found.is_number()) return "<span class=\"none\">&ndash;</span>";
  const std::string text = found.is_number_integer() && scale == 1
                               ? found.dump()
                               : number_text(found.get<double>() * scale, digits);
  return fmt::format(R"(<span data-json="{}" data-scale="{:.17g}">{}</span>)", escape(pointer), scale, text);
}

std::string html(const HtmlTable& table) {
  const auto cell = [&](const char* tag, std::size_t column, const std::string& content) {
    return fmt::format("<{0}{1}>{2}</{0}>", tag, column >= table.first_number ? " class=\"r\"" : "", content);
  };
  std::string out = "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>";
  for (std::size_t i = 0; i < table.headings.size(); ++i) out += cell("th", i, table.headings[i]);
  out += "</tr></thead><tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) out += cell("td", i, row[i]);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string section(const std::string& id, const std::string& title, const std::string& introduction,
                    const std::string& content) {
  return fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}{}</section>\n", escape(id), escape(title),
                     introduction.empty() ? "" : "<p>" + introduction + "</p>\n", content);
}

std::string chart_grid(const std::vector<std::string>& charts) {
  std::string out = "<div class=\"charts\">\n";
  for (const std::string& chart : charts) out += "<figure>" + chart + "</figure>\n";
  return out + "</div>\n";
}

std::string details(const std::string& summary, const std::string& content) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", escape(summary), content);
}

std::string absent(const std::string& text) { return "<p class=\"absent\">" + escape(text) + "</p>\n"; }

std::string code(const std::string& text) { return "<code>" + escape(text) + "</code>"; }

}  // namespace fourge::report
