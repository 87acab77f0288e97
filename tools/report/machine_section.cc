#include <fmt/format.h>

#include "tools/report/markup.h"
#include "tools/report/page.h"

namespace fourge::report {
namespace {

struct NamedPeak {
  const char* key;
  const char* name;
  const char* unit;
};
constexpr NamedPeak kPeaks[] = {
    {"amx_bf16_gflops", "AMX bf16", "GFLOP/s"}, {"amx_int8_gops", "AMX int8", "GOP/s"},
    {"vnni_int8_gops", "VNNI int8", "GOP/s"},   {"fma_f32_gflops", "FMA f32", "GFLOP/s"},
    {"read_gbps_l2", "read, L2", "GB/s"},       {"read_gbps_l3", "read, L3", "GB/s"},
    {"read_gbps_dram", "read, memory", "GB/s"}, {"copy_gbps_dram", "copy, memory", "GB/s"}};

std::string fact(const std::string& name, const std::string& content) {
  return "<div><b>" + content + "</b><span class=\"what\">" + escape(name) + "</span></div>\n";
}

std::string facts(const Json& document) {
  std::string out = "<div class=\"facts\">\n";
  out += fact("highest instruction set used", escape(text_at(document, "/context/isa")));
  out += fact("hardware threads", value(document, "/context/hardware_threads", 1, 4));
  out += fact("clock, one core, scalar code", value(document, "/context/clock/first_ghz", 1, 3) + " GHz");
  out += fact("L2 of a core", value(document, "/context/caches_of_a_core/l2", 1.0 / (1 << 20), 3) + " MiB");
  out += fact("L3", value(document, "/context/caches_of_a_core/l3", 1.0 / (1 << 20), 4) + " MiB");
  out += fact("compiler", escape(text_at(document, "/context/compiler")));
  out += fact("commit", escape(text_at(document, "/context/commit", "not recorded").substr(0, 12)));
  return out + "</div>\n";
}

std::string peaks_table(const Json& document) {
  const Json& all = at(document, "/context/peaks");
  if (!all.is_array() || all.empty()) return absent("Peaks were not measured.");
  HtmlTable table{.headings = {"peak", "unit"}, .rows = {}, .first_number = 2};
  for (const Json& peaks_of : all)
    table.headings.push_back(text_of(peaks_of, "threads") +
                             (text_of(peaks_of, "threads") == "1" ? " thread" : " threads"));
  for (const NamedPeak& peak : kPeaks) {
    std::vector<std::string> row = {peak.name, peak.unit};
    std::string why;
    for (std::size_t i = 0; i < all.size(); ++i) {
      row.push_back(value(document, fmt::format("/context/peaks/{}/{}", i, peak.key), 1, 4));
      why = text_at(document, fmt::format("/context/peaks/{}/absent/{}", i, peak.key), why);
    }
    if (!why.empty()) row[1] = "absent: " + escape(why);
    table.rows.push_back(std::move(row));
  }
  return html(table);
}

// What is missing here, each with its reason.
std::string missing_list(const Json& document) {
  std::string items;
  for (const Json& level : at(document, "/context/levels")) {
    if (level.value("available", true)) continue;
    items += "<li>" + escape(text_of(level, "isa")) + ": " +
             escape(text_of(level, "missing", "not available")) + "</li>\n";
  }
  for (const Json& peer : at(document, "/context/peers")) {
    if (text_of(peer, "absent").empty()) continue;
    items += "<li>" + escape(text_of(peer, "name")) + ": " + escape(text_of(peer, "absent")) + "</li>\n";
  }
  for (const Json& kernel : at(document, "/context/left_out"))
    items += "<li>" + code(text_of(kernel, "kernel")) + ": " + escape(text_of(kernel, "reason")) + "</li>\n";
  if (items.empty()) return "<p>Nothing that this program can use is absent on this machine.</p>\n";
  return "<h3>Absent here</h3>\n<ul>\n" + items + "</ul>\n";
}

}  // namespace

std::string machine_section(const Json& document) {
  if (at(document, "/context").is_null())
    return section("machine", "The machine", "", absent("The document does not say which machine it is of."));
  return section(
      "machine", "The machine",
      "Peaks are the best of many short bursts, measured in the same run: arithmetic with all operands in "
      "registers, reading in loops over as many bytes as the level holds.",
      facts(document) + peaks_table(document) + missing_list(document));
}

}  // namespace fourge::report
