#include "tools/report/frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "tools/report/chart.h"
#include "tools/report/markup.h"
#include "tools/report/palette.h"

namespace fourge::report {

double text_width(const std::string& text, double size) {
  double characters = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) continue;  // a later byte of a character
    characters += c == 'm' || c == 'w' || (c >= 'A' && c <= 'Z') ? 0.68
                  : c == 'i' || c == 'l' || c == ' '             ? 0.34
                                                                 : 0.58;
  }
  return characters * size;
}

double Frame::heading(const std::string& title) {
  std::istringstream words(title);
  std::string line;
  const auto flush = [&] {
    bottom_ += 15;
    text(4, bottom_, line, "start", "title");
    line.clear();
  };
  for (std::string word; words >> word;) {
    const std::string longer = line.empty() ? word : line + " " + word;
    if (!line.empty() && text_width(longer, 15) > width_ - 8) {
      flush();
      line = word;
    } else {
      line = longer;
    }
  }
  if (!line.empty()) flush();
  bottom_ += 5;
  return bottom_;
}

double Frame::legend(const std::vector<LegendEntry>& entries) {
  if (entries.empty()) return bottom_;
  constexpr double kSwatch = 24, kGap = 12, kLine = 17;
  double x = 4;
  bottom_ += 13;
  for (const LegendEntry& entry : entries) {
    const double swatch = entry.line ? kSwatch : 14;
    const double advance = swatch + text_width(entry.name, 11.5) + kGap;
    if (x > 4 && x + advance - kGap > width_) {
      x = 4;
      bottom_ += kLine;
    }
    const double y = bottom_ - 4;
    if (entry.line)
      line(x, y, x + 18, y, fmt::format("line s{}{}", entry.color, entry.dashed ? " dashed" : "").c_str());
    if (entry.mark) add(mark(x + (entry.line ? 9 : 5), y, entry.color));
    text(x + swatch, bottom_, entry.name, "start", "small");
    x += advance;
  }
  bottom_ += 6;
  return bottom_;
}

void Frame::text(double x, double y, const std::string& text, const char* anchor, const char* style) {
  add(fmt::format(R"(<text x="{}" y="{}" text-anchor="{}"{}>{}</text>)", coordinate(x), coordinate(y), anchor,
                  *style == '\0' ? "" : fmt::format(R"( class="{}")", style), escape(text)));
}

void Frame::line(double x1, double y1, double x2, double y2, const char* style) {
  add(fmt::format(R"(<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>)", coordinate(x1), coordinate(y1),
                  coordinate(x2), coordinate(y2), style));
}

std::string Frame::svg(double height, const std::string& title, const std::string& summary) const {
  return fmt::format(
      "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {} {}\" "
      "width=\"100%\" aria-label=\"{}\">\n<title>{}</title>\n<desc>{}</desc>\n{}</svg>\n",
      coordinate(width_), coordinate(height), escape(title), escape(title), escape(summary), body_);
}

std::string html_legend(const std::vector<LegendEntry>& entries) {
  std::string out = "<p class=\"legend\">";
  for (const LegendEntry& entry : entries) {
    out += fmt::format(
        R"(<span><svg class="chart" viewBox="0 0 20 12" width="20" height="12" aria-hidden="true"><path d="M1,6L19,6" class="line s{}"/>{}</svg> {}</span> )",
        entry.color, mark(10, 6, entry.color), escape(entry.name));
  }
  return out + "</p>\n";
}

std::string mark(double x, double y, int color, const std::string& attributes, const std::string& content) {
  const std::string rest = fmt::format(R"(class="mark f{}" data-x="{}" data-y="{}"{}>{}</)", color,
                                       coordinate(x), coordinate(y), attributes, content);
  const auto at = [&](double dx, double dy) { return coordinate(x + dx) + "," + coordinate(y + dy); };
  switch (color % 4) {
    case 0:
      return fmt::format(R"(<circle cx="{}" cy="{}" r="4.2" {}circle>)", coordinate(x), coordinate(y), rest);
    case 1:
      return fmt::format(R"(<rect x="{}" y="{}" width="7.6" height="7.6" {}rect>)", coordinate(x - 3.8),
                         coordinate(y - 3.8), rest);
    case 2:
      return fmt::format(R"(<polygon points="{} {} {} {}" {}polygon>)", at(0, -5.2), at(5.2, 0), at(0, 5.2),
                         at(-5.2, 0), rest);
    default:
      return fmt::format(R"(<polygon points="{} {} {}" {}polygon>)", at(0, -5), at(4.9, 3.8), at(-4.9, 3.8),
                         rest);
  }
}

namespace {

// Width and height in the viewBox that Frame::svg() wrote.
std::pair<double, double> size_of(const std::string& svg) {
  const std::size_t at = svg.find("viewBox=\"0 0 ");
  std::istringstream numbers(svg.substr(at + 13, 40));
  double width = 0, height = 0;
  numbers >> width >> height;
  return {width, height};
}

}  // namespace

std::string grid(const std::vector<std::string>& drawings, int columns, const std::string& title) {
  double widest = 0;
  for (const std::string& drawing : drawings) widest = std::max(widest, size_of(drawing).first);
  std::string body;
  double top = 0, row_height = 0;
  for (std::size_t i = 0; i < drawings.size(); ++i) {
    const auto [width, height] = size_of(drawings[i]);
    const auto column = static_cast<int>(i) % columns;
    if (column == 0) {
      top += row_height;
      row_height = 0;
    }
    row_height = std::max(row_height, height + 10);
    body += fmt::format("<svg x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><g>",
                        coordinate(column * (widest + 16)), coordinate(top), coordinate(width),
                        coordinate(height)) +
            drawings[i].substr(drawings[i].find('>') + 1);
    body.insert(body.rfind("</svg>"), "</g>");
  }
  const int used = std::min(columns, static_cast<int>(drawings.size()));
  const double width = used * (widest + 16) - 16;
  return fmt::format(
      "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {} {}\" "
      "width=\"100%\" aria-label=\"{}\">\n{}</svg>\n",
      coordinate(width), coordinate(top + row_height), escape(title), body);
}

std::string standalone(const std::string& svg) {
  const std::size_t end = svg.find('>') + 1;
  const std::string background = R"svg(<rect width="100%" height="100%" style="fill:var(--surface)"/>)svg";
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + svg.substr(0, end) + "\n<style>" +
         theme_css(":root") + chart_css() + "</style>\n" + background + svg.substr(end);
}

}  // namespace fourge::report
