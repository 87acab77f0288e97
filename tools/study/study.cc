#include "tools/study/study.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>

namespace fourge::study {
namespace {

constexpr std::int64_t kRotations[] = {0, 16, 32, 128};

constexpr Recipe kStatic6 = {Format::nvfp4, ScaleRule::static_6, 0};

double published_static_6(const Published& beside) {
  for (const Published& p : published()) {
    const bool same_source = std::string_view(p.source) == beside.source;
    if (p.distribution == beside.distribution && p.recipe == kStatic6 && same_source) return p.relative_mse;
  }
  return 0;
}

void add_comparisons(std::vector<StudyCell>& cells) {
  for (StudyCell& cell : cells) {
    double static_6 = 0;
    for (const StudyCell& other : cells) {
      if (other.distribution == cell.distribution && other.recipe == kStatic6) static_6 = other.relative_mse;
    }
    for (const Published& p : published()) {
      if (p.distribution == cell.distribution && p.recipe == cell.recipe)
        cell.published.push_back(compare(cell, p, static_6));
    }
  }
}

// Mean, deviation and range of the values added, none negative.
class Mean {
 public:
  void add(double value) {
    ++count_;
    const double before = value - mean_;
    mean_ += before / count_;
    squares_ += before * (value - mean_);
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
  }
  double value() const { return mean_; }
  double deviation() const { return count_ < 2 ? 0.0 : std::sqrt(squares_ / (count_ - 1)); }
  double least() const { return least_; }
  double most() const { return most_; }

 private:
  int count_ = 0;
  double mean_ = 0, squares_ = 0;
  double least_ = std::numeric_limits<double>::infinity(), most_ = 0;
};

struct Sums {
  Mean all, largest;
};

}  // namespace

std::vector<Recipe> study_recipes() {
  constexpr Recipe kRules[] = {{Format::nvfp4, ScaleRule::static_6},    {Format::nvfp4, ScaleRule::static_4},
                               {Format::nvfp4, ScaleRule::mse_4_6},     {Format::nvfp4, ScaleRule::mae_4_6},
                               {Format::nvfp4, ScaleRule::abs_max_4_6}, {Format::nvfp4, ScaleRule::search},
                               {Format::nvfp4, ScaleRule::sweep},       {Format::mxfp4, ScaleRule::floor},
                               {Format::mxfp4, ScaleRule::static_6},    {Format::mxfp4, ScaleRule::shift},
                               {Format::mxfp4, ScaleRule::search},      {Format::mxfp4, ScaleRule::sweep}};
  std::vector<Recipe> recipes;
  for (const Recipe& rule : kRules) {
    for (const std::int64_t rotation : kRotations) recipes.push_back({rule.format, rule.rule, rotation});
  }
  return recipes;
}

Comparison compare(const StudyCell& cell, const Published& published, double static_6) {
  constexpr double kTolerance = 0.02, kScatter = 0.054;
  const auto within = [](double ratio, double tolerance) { return std::fabs(ratio - 1) <= tolerance; };
  Comparison comparison{.published = published, .ratio = cell.relative_mse / published.relative_mse};
  comparison.relative_ratio = comparison.ratio * published_static_6(published) / static_6;
  comparison.agrees =
      cell.distribution == Distribution::student_t3
          ? within(comparison.relative_ratio, kTolerance) && within(comparison.ratio, kScatter)
          : within(comparison.ratio, kTolerance);
  return comparison;
}

Result<std::vector<StudyCell>> run_study(const StudySpec& spec, const std::function<void()>& progress) {
  const std::vector<Recipe> recipes = spec.recipes.empty() ? study_recipes() : spec.recipes;
  std::vector<Distribution> distributions = spec.distributions;
  if (distributions.empty()) distributions.assign(std::begin(kDistributions), std::end(kDistributions));
  std::vector<StudyCell> cells;
  for (const Distribution distribution : distributions) {
    std::vector<Sums> sums(recipes.size());
    std::vector<std::string> quantizers(recipes.size());
    for (int draw_index = 0; draw_index < spec.draws; ++draw_index) {
      const std::vector<float> values =
          draw(distribution, spec.rows, spec.cols, spec.seed + static_cast<std::uint64_t>(draw_index));
      for (std::size_t i = 0; i < recipes.size(); ++i) {
        const Result<QuantizationError> error = quantization_error(values, spec.rows, spec.cols, recipes[i]);
        if (!error) return error.failure();
        sums[i].all.add(error->relative_mse);
        sums[i].largest.add(error->relative_mse_of_largest);
        quantizers[i] = error->quantizer;
        if (progress) progress();
      }
    }
    for (std::size_t i = 0; i < recipes.size(); ++i) {
      cells.push_back({.distribution = distribution,
                       .recipe = recipes[i],
                       .relative_mse = sums[i].all.value(),
                       .draw_deviation = sums[i].all.deviation(),
                       .draw_least = sums[i].all.least(),
                       .draw_most = sums[i].all.most(),
                       .relative_mse_of_largest = sums[i].largest.value(),
                       .quantizer = quantizers[i],
                       .published = {}});
    }
  }
  add_comparisons(cells);
  return cells;
}

Json to_json(const StudySpec& spec, const std::vector<StudyCell>& cells) {
  Json document = {{"rows", spec.rows},
                   {"cols", spec.cols},
                   {"draws", spec.draws},
                   {"seed", spec.seed},
                   {"cells", Json::array()}};
  for (const StudyCell& cell : cells) {
    Json published = Json::array();
    for (const Comparison& c : cell.published) {
      published.push_back({{"source", c.published.source},
                           {"relative_mse", c.published.relative_mse},
                           {"ratio", c.ratio},
                           {"relative_ratio", c.relative_ratio},
                           {"agrees", c.agrees}});
    }
    document["cells"].push_back({{"distribution", name_of(cell.distribution)},
                                 {"format", name_of(cell.recipe.format)},
                                 {"rule", name_of(cell.recipe.rule)},
                                 {"rotation", cell.recipe.rotation},
                                 {"relative_mse", cell.relative_mse},
                                 {"draw_deviation", cell.draw_deviation},
                                 {"draw_least", cell.draw_least},
                                 {"draw_most", cell.draw_most},
                                 {"relative_mse_of_largest", cell.relative_mse_of_largest},
                                 {"quantizer", cell.quantizer},
                                 {"published", std::move(published)}});
  }
  return document;
}

}  // namespace fourge::study
