#include "tools/report/palette.h"

namespace fourge::report {
namespace {

std::string properties(const Theme& theme) {
  std::string css;
  const auto set = [&](const std::string& name, const char* color) {
    css.append("--").append(name).append(":").append(color).append(";");
  };
  set("page", theme.page);
  set("surface", theme.surface);
  set("text", theme.text);
  set("muted", theme.muted);
  set("grid", theme.grid);
  for (int i = 0; i < kSeriesColors; ++i)
    set("c" + std::to_string(i), theme.series[static_cast<std::size_t>(i)]);
  return css;
}

}  // namespace

std::string theme_css(const std::string& root) {
  return root + "{color-scheme:light dark;" + properties(kLight) + "}\n@media (prefers-color-scheme:dark){" +
         root + "{" + properties(kDark) + "}}\n";
}

std::string chart_css() {
  std::string css =
      "svg.chart{display:block;font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu "
      "Sans',sans-serif}\n"
      "svg.chart text{fill:var(--text)}\n"
      "svg.chart .muted{fill:var(--muted)}\n"
      "svg.chart .small{font-size:11.5px}\n"
      "svg.chart .title{font-weight:600;font-size:13px}\n"
      "svg.chart .grid{stroke:var(--grid);stroke-width:1;fill:none}\n"
      "svg.chart .axis{stroke:var(--muted);stroke-width:1;fill:none}\n"
      "svg.chart .line{fill:none;stroke-width:2;stroke-linejoin:round}\n"
      "svg.chart .dashed{stroke-dasharray:5 4}\n"
      "svg.chart .mark{stroke:var(--surface);stroke-width:1}\n"
      "svg.chart .track{fill:var(--grid)}\n";
  for (int i = 0; i < kSeriesColors; ++i) {
    const std::string n = std::to_string(i);
    css += "svg.chart .f" + n + "{fill:var(--c" + n + ")}svg.chart .s" + n + "{stroke:var(--c" + n + ")}\n";
  }
  return css;
}

}  // namespace fourge::report
