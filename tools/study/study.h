// The relative mean squared error of formats and scale rules on random values, with and without rotation.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "fourge/error.h"
#include "tools/study/published.h"

namespace fourge::study {

using Json = nlohmann::ordered_json;

struct StudySpec {
  std::int64_t rows = 1024;
  std::int64_t cols = 1024;
  int draws = 8;  // matrices of each distribution
  std::uint64_t seed = 1;
  std::vector<Recipe> recipes = {};              // empty: study_recipes()
  std::vector<Distribution> distributions = {};  // empty: all
};

/// A published value, which is one draw, beside the one found here.
struct Comparison {
  Published published;
  double ratio = 1;           // found / published
  double relative_ratio = 1;  // the same of errors divided by that of nvfp4 static_6 in the same draws
  /// ratio within 2 % of 1. For student-t3, whose square has no variance, the mean squares by which errors
  /// are divided scatter at any size (static_6, 60 draws of 1024 x 1024: 6.6 % below their mean to 1.8 %
  /// above): relative_ratio within 2 % and ratio within 5.4 %.
  bool agrees = false;
};

/// One distribution under one recipe.
struct StudyCell {
  Distribution distribution = Distribution::normal;
  Recipe recipe;
  double relative_mse = 0;    // mean of the draws
  double draw_deviation = 0;  // standard deviation of one draw; 0 when there is but one
  double draw_least = 0, draw_most = 0;
  double relative_mse_of_largest = 0;  // of the largest of every 128, mean of the draws
  std::string quantizer;               // the kernel
  std::vector<Comparison> published;
};

/// `static_6`: the value found for nvfp4 static_6 without rotation under the cell's distribution.
Comparison compare(const StudyCell& cell, const Published& published, double static_6);

/// Every rule of both formats that the methods use, rotations of 0, 16, 32 and 128.
std::vector<Recipe> study_recipes();

/// Every distribution under every recipe. `progress` is called once for each recipe and draw.
Result<std::vector<StudyCell>> run_study(const StudySpec& spec, const std::function<void()>& progress = {});

/// docs/cli.md, "study".
Json to_json(const StudySpec& spec, const std::vector<StudyCell>& cells);

}  // namespace fourge::study
