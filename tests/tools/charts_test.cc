// tools/report: axes, colours, numbers, and pages of incomplete documents.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "tools/report/axis.h"
#include "tools/report/chart.h"
#include "tools/report/markup.h"
#include "tools/report/page.h"
#include "tools/report/palette.h"

namespace fourge::report {
namespace {

// Relative luminance and contrast of WCAG 2.
double luminance(const std::string& color) {
  double sum = 0;
  constexpr double kWeights[] = {0.2126, 0.7152, 0.0722};
  for (std::size_t i = 0; i < 3; ++i) {
    const double channel = std::stoi(color.substr(1 + 2 * i, 2), nullptr, 16) / 255.0;
    sum += kWeights[i] * (channel <= 0.04045 ? channel / 12.92 : std::pow((channel + 0.055) / 1.055, 2.4));
  }
  return sum;
}
double contrast(const std::string& a, const std::string& b) {
  const double low = std::min(luminance(a), luminance(b)), high = std::max(luminance(a), luminance(b));
  return (high + 0.05) / (low + 0.05);
}

TEST(Palette, ColorsStandOutInBothThemes) {
  for (const Theme& theme : {kLight, kDark}) {
    for (const char* color : theme.series) EXPECT_GE(contrast(color, theme.surface), 3.0) << color;
    for (const char* background : {theme.page, theme.surface}) {
      EXPECT_GE(contrast(theme.text, background), 7.0) << background;
      EXPECT_GE(contrast(theme.muted, background), 4.5) << background;
    }
  }
}

TEST(Axis, LinearStartsAtZeroAndEndsOnATick) {
  const Axis axis({.title = ""}, 3, 87, 0, 100, 5);
  EXPECT_EQ(axis.least(), 0);
  EXPECT_GE(axis.most(), 87);
  EXPECT_EQ(axis.ticks().front(), 0);
  EXPECT_DOUBLE_EQ(axis.ticks().back(), axis.most());
  EXPECT_DOUBLE_EQ(axis.at(axis.most()), 100);
  EXPECT_DOUBLE_EQ(axis.at(axis.most() / 2), 50);
}

TEST(Axis, LogarithmIsOfTheValue) {
  const Axis axis({.title = "", .log = true, .least = 1.0, .most = 1000.0}, 1, 1000, 0, 300, 4);
  EXPECT_DOUBLE_EQ(axis.at(1), 0);
  EXPECT_NEAR(axis.at(10), 100, 1e-9);
  EXPECT_NEAR(axis.at(1000), 300, 1e-9);
  EXPECT_EQ(axis.ticks(), (std::vector<double>{1, 10, 100, 1000}));
}

TEST(Axis, LogHoldsItsDataWhateverTheRange) {
  for (const double least : {1e-7, 0.3, 7.0, 12345.0}) {
    for (const double factor : {1.0, 1.5, 40.0, 1e6}) {
      const Axis axis({.title = "", .log = true}, least, least * factor, 0, 1, 6);
      EXPECT_LE(axis.least(), least * (1 + 1e-9));
      EXPECT_GE(axis.most(), least * factor * (1 - 1e-9));
      EXPECT_FALSE(axis.ticks().empty()) << least << " " << factor;
    }
  }
}

TEST(NumberText, KeepsSignificantDigits) {
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(123.456), "123");
  EXPECT_EQ(number_text(1.23456), "1.23");
  EXPECT_EQ(number_text(0.00123456), "0.00123");
  EXPECT_EQ(number_text(1e-9), "1.00e-09");
  EXPECT_EQ(number_text(-45.678, 4), "-45.68");
  EXPECT_EQ(number_text(123456, 3), "123456");
}

TEST(Escape, LeavesNothingThatHtmlReads) {
  EXPECT_EQ(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
}

TEST(LineChart, LeavesOutWhatALogAxisCannotShow) {
  LineChart chart{
      .title = "t", .summary = "", .x = {.title = "x"}, .y = {.title = "y", .log = true}, .series = {}};
  chart.series.push_back({.name = "s", .points = {{1, 0}, {2, 10}}});
  const std::string svg = draw(chart);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  chart.series[0].points.pop_back();
  EXPECT_NE(draw(chart).find("no data"), std::string::npos);
}

TEST(Value, SaysWhereItComesFromAndDashesWhereThereIsNone) {
  const Json document = {{"a", {{"b", 0.25}, {"c", nullptr}}}};
  EXPECT_EQ(value(document, "/a/b", 100), R"(<span data-json="/a/b" data-scale="100">25.0</span>)");
  EXPECT_NE(value(document, "/a/c").find("&ndash;"), std::string::npos);
  EXPECT_NE(value(document, "/x").find("&ndash;"), std::string::npos);
}

TEST(Page, IsWholeWithoutAnyPart) {
  const std::string page = render_page({{"fourge_report", 1}});
  std::size_t sections = 0, absent_notes = 0;
  for (std::size_t i = page.find("<section"); i != std::string::npos; i = page.find("<section", i + 1))
    ++sections;
  for (std::size_t i = page.find("class=\"absent\""); i != std::string::npos;
       i = page.find("class=\"absent\"", i + 1))
    ++absent_notes;
  EXPECT_EQ(sections, 10u);
  EXPECT_EQ(absent_notes, 10u);
}

TEST(Page, TextOfTheDocumentCannotEndTheScriptElement) {
  const std::string page = render_page({{"fourge_report", 1}, {"context", {{"cpu", "</script><b>x"}}}});
  const std::size_t data = page.find("id=\"data\">");
  ASSERT_NE(data, std::string::npos);
  EXPECT_EQ(page.find("</script>", data), page.rfind("</script>"));
  EXPECT_EQ(page.find("<b>x"), page.find("<b>x", data));
}

TEST(Page, NeedsNothingFromOutside) {
  const std::string page = render_page({{"fourge_report", 1}});
  for (const char* word : {"src=", "http://", "https://", "@import", "url("})
    EXPECT_EQ(page.find(word), std::string::npos) << word;
}

}  // namespace
}  // namespace fourge::report
