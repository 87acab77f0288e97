// Colours of charts and page: the same names in light and dark, each with enough contrast to its background.
#pragma once

#include <array>
#include <string>

namespace fourge::report {

struct Theme {
  const char* page;     // background of the page
  const char* surface;  // background of charts and tables
  const char* text;
  const char* muted;  // axis labels, notes
  const char* grid;   // rules and grid lines: seen, not read
  std::array<const char*, 8>
      series;  // marks and lines: contrast of at least 3 to the surface (WCAG 2, 1.4.11)
};

inline constexpr Theme kLight = {
    .page = "#f6f7f9",
    .surface = "#ffffff",
    .text = "#16191d",
    .muted = "#565f6b",
    .grid = "#dfe3e8",
    .series = {"#1f6fc4", "#c8501a", "#0f7f6b", "#a63d8f", "#86690a", "#5b4bc4", "#b3303a", "#5f6b76"}};

inline constexpr Theme kDark = {
    .page = "#0e1114",
    .surface = "#171b20",
    .text = "#e8ebef",
    .muted = "#a3adb8",
    .grid = "#2c333b",
    .series = {"#5fa8f5", "#f08a52", "#3fc2a4", "#e07fcb", "#d0ad3a", "#a498f5", "#f2767d", "#a5b1bc"}};

inline constexpr int kSeriesColors = 8;

/// Custom properties of both themes: --page, --surface, --text, --muted, --grid, --c0 ... --c7 on `root`.
std::string theme_css(const std::string& root);
/// How the elements of a chart look. Needs theme_css().
std::string chart_css();

}  // namespace fourge::report
