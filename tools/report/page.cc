#include "tools/report/page.h"

#include <fmt/format.h>

#include "tools/report/markup.h"
#include "tools/report/palette.h"

namespace fourge::report {
namespace {

constexpr const char* kCss = R"css(
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--text);line-height:1.5;
font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:16px}
main,header{max-width:1240px;margin:0 auto;padding:0 16px}
header{padding-top:28px}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 6px}
h2{font-size:1.25rem;line-height:1.3;margin:0 0 6px}
h3{font-size:1rem;margin:20px 0 6px}
p{margin:0 0 12px;max-width:76ch}
.muted,figcaption,.none{color:var(--muted)}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:12px 0 20px;font-size:.9rem}
a{color:var(--c0)}
section{background:var(--surface);border:1px solid var(--grid);border-radius:10px;padding:18px 16px;margin:0 0 18px}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,350px),1fr));gap:20px 26px;margin:6px 0 12px}
figure{margin:0;max-width:480px;min-width:0}
.wide figure{max-width:none}
.scroll{overflow-x:auto;margin:0 0 12px}
table{border-collapse:collapse;font-size:.86rem;min-width:min(100%,420px)}
th,td{text-align:left;padding:4px 14px 4px 0;border-bottom:1px solid var(--grid);vertical-align:top}
th{font-weight:600;color:var(--muted);white-space:nowrap}
td.r,th.r{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code,pre{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:.84em}
code{overflow-wrap:anywhere}
pre{overflow:auto;max-height:28rem;background:var(--page);border:1px solid var(--grid);border-radius:6px;padding:10px;margin:0 0 12px;line-height:1.4}
details{margin:0 0 10px}
summary{cursor:pointer;padding:3px 0;overflow-wrap:anywhere}
.absent{border-left:3px solid var(--c4);padding-left:10px;color:var(--muted)}
.legend{max-width:none;font-size:.86rem}.legend span{white-space:nowrap;margin-right:14px}.legend svg{display:inline-block;vertical-align:-1px}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px 20px;margin:8px 0 14px}
.facts b{display:block;font-size:1.2rem;font-variant-numeric:tabular-nums}
.facts span.what{color:var(--muted);font-size:.84rem}
.narrow{display:block}.broad{display:none}
@media (min-width:800px){.narrow{display:none}.broad{display:block}}
footer{max-width:1240px;margin:0 auto;padding:4px 16px 36px;color:var(--muted);font-size:.86rem}
@media (max-width:520px){main,header,footer{padding-left:6px;padding-right:6px}section{padding:14px 10px}h1{font-size:1.45rem}}
@media print{body{background:none}section{break-inside:avoid;border:none}}
)css";

// "</" would end the element; "<\/" is the same string in JSON.
std::string embedded(const Json& document) {
  const std::string text = document.dump();
  std::string safe;
  safe.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    safe.push_back(text[i]);
    if (text[i] == '<' && i + 1 < text.size() && text[i + 1] == '/') safe.push_back('\\');
  }
  return "<script type=\"application/json\" id=\"data\">" + safe + "</script>\n";
}

struct Part {
  const char* id;
  const char* name;
  std::string (*render)(const Json& document);
};
constexpr Part kParts[] = {
    {"machine", "Machine", machine_section},      {"speed", "Speed", speed_section},
    {"roofline", "Roofline", roofline_section},   {"certified", "Certified share", certified_section},
    {"scaling", "Scaling", scaling_section},      {"study", "Random values", study_section},
    {"layers", "Error by layer", layers_section}, {"models", "Bits per byte", models_section},
    {"kernels", "Kernels", kernels_section},      {"evidence", "Evidence", evidence_section}};

}  // namespace

std::string render_page(const Json& document) {
  std::string page =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>fourge: report</title>\n<style>\n" +
      theme_css(":root") + chart_css() + kCss +
      "</style>\n</head>\n<body>\n<header>\n<h1>fourge: what this machine does with 4-bit floating "
      "point</h1>\n";
  page += fmt::format("<p class=\"muted\">{}, made {} by fourge {}.</p>\n",
                      escape(text_at(document, "/context/cpu", "unknown processor")),
                      escape(text_at(document, "/context/date", "at an unknown time")),
                      escape(text_at(document, "/context/version", "(unknown version)")));
  if (const std::string reduced = text_at(document, "/reduced", ""); !reduced.empty())
    page += "<p class=\"absent\">" + escape(reduced) + "</p>\n";
  page += "<nav aria-label=\"Sections\">";
  for (const Part& part : kParts) page += fmt::format("<a href=\"#{}\">{}</a>", part.id, part.name);
  page += "</nav>\n</header>\n<main>\n";
  for (const Part& part : kParts) page += part.render(document);
  page +=
      "</main>\n<footer>Every number of this page stands in the document that is embedded in it (element "
      "\"data\"), at the place that its <code>data-json</code> attribute names.</footer>\n" +
      embedded(document) + "</body>\n</html>\n";
  return page;
}

}  // namespace fourge::report
