// Bits per byte: from results of earlier runs, or of the shipped model.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <random>

#include "quant/export/quantize_model.h"
#include "quant/export/stored_model.h"
#include "quant/model/compare.h"
#include "quant/model/evaluate.h"
#include "tools/report/gather/gather.h"

namespace fourge::report {
namespace {

namespace fs = std::filesystem;
using Windows = std::vector<double>;

constexpr const char* kCalibrated =
    "Recipes that need calibration text are not here: tools/anchors/anchors.py makes them, and --models "
    "takes its --work "
    "folder of a model.";

// Standard error of the difference in bits per byte, from the spread of the windows' differences.
double paired_error(const Windows& windows, const Windows& base, double bytes) {
  const std::size_t count = std::min(windows.size(), base.size());
  if (count < 2) return 0;
  double mean = 0, squares = 0;
  for (std::size_t i = 0; i < count; ++i) mean += (windows[i] - base[i]) / static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) squares += std::pow(windows[i] - base[i] - mean, 2);
  return std::sqrt(squares / static_cast<double>(count - 1) * static_cast<double>(count)) / bytes;
}

Windows windows_of(const Json& evaluation) {
  const auto found = evaluation.find("window_bits");
  return found == evaluation.end() ? Windows() : found->get<Windows>();
}

Json model_row(const std::string& name, const Json& evaluation, const Json& base) {
  const double bits = number_of(evaluation, "bits_per_byte");
  return {
      {"name", name},
      {"activations", name.find("w4a16") != std::string::npos ? "w4a16" : "w4a4"},
      {"bits_per_byte", bits},
      {"over_float", bits - number_of(base, "bits_per_byte")},
      {"error", paired_error(windows_of(evaluation), windows_of(base), number_of(evaluation, "bytes", 1))}};
}

void add_output_errors(const fs::path& folder, const std::string& name, Json& layers) {
  const fourge::Result<Json> file = read_json((folder / (name + ".layers.json")).string());
  if (!file || !file->contains("layers")) return;
  Json rows = Json::array();
  double sum = 0;
  for (const Json& layer : file->at("layers")) {
    rows.push_back({{"name", text_of(layer, "name")}, {"error", number_of(layer, "output_error")}});
    sum += number_of(layer, "output_error");
  }
  if (rows.empty()) return;
  const double mean = sum / static_cast<double>(rows.size());
  layers["outputs"].push_back({{"recipe", name}, {"mean", mean}, {"layers", std::move(rows)}});
}

// A folder that is gone when the guard is.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::random_device random;
    path_ = fs::temp_directory_path() / fmt::format("fourge_report_{:08x}{:08x}", random(), random());
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// As `fourge eval --json` says it.
fourge::Result<Json> evaluate_folder(const fs::path& folder, const std::vector<std::uint32_t>& ids) {
  const fourge::Result<quant::Checkpoint> checkpoint = quant::Checkpoint::open(folder);
  if (!checkpoint) return checkpoint.failure();
  const fourge::Result<quant::StoredScheme> scheme = quant::read_scheme(*checkpoint);
  if (!scheme) return scheme.failure();
  fourge::Result<quant::LanguageModel> model = quant::load_model(*checkpoint, *scheme);
  if (!model) return model.failure();
  const std::int64_t window = std::min<std::int64_t>(model->config.context, 256);
  const fourge::Result<quant::Evaluation> evaluation = quant::evaluate(*model, ids, window);
  if (!evaluation) return evaluation.failure();
  Windows bits = evaluation->window_nats;
  for (double& b : bits) b /= std::numbers::ln2;
  return Json{{"bits_per_byte", evaluation->bits_per_token()},
              {"bytes", evaluation->scored_tokens},
              {"window_bits", bits}};
}

// The text to be read: given, else the licence beside the model's source tree.
std::string text_path(const GatherOptions& options) {
  if (!options.text.empty()) return options.text;
  const fs::path licence = fs::path(options.model) / "../../LICENSE";
  std::error_code ignored;
  return fs::is_regular_file(licence, ignored) ? licence.string() : std::string();
}

}  // namespace

fourge::Result<Json> read_models(const std::string& folder, Json& layers) {
  const fourge::Result<Json> base = read_json((fs::path(folder) / "float.eval.json").string());
  if (!base) return base.failure();
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename().string();
    constexpr std::string_view kEnd = ".eval.json";
    if (file.size() <= kEnd.size() || file.substr(file.size() - kEnd.size()) != kEnd ||
        file == "float.eval.json")
      continue;
    names.push_back(file.substr(0, file.size() - kEnd.size()));
  }
  if (error) return {Error::kIo, "cannot be listed", folder};
  std::sort(names.begin(), names.end());
  Json models = {{"source", fmt::format("{} results of earlier runs (fourge eval), {} scored bytes each",
                                        names.size(), static_cast<std::int64_t>(number_of(*base, "bytes")))},
                 {"float_bits_per_byte", number_of(*base, "bits_per_byte")},
                 {"rows", Json::array()}};
  layers["outputs"] = Json::array();
  for (const std::string& name : names) {
    const fs::path stem = fs::path(folder) / name;
    const fourge::Result<Json> evaluation = read_json(stem.string() + ".eval.json");
    if (!evaluation) return evaluation.failure();
    Json row = model_row(name, *evaluation, *base);
    if (const fourge::Result<Json> quantized = read_json(stem.string() + ".quantize.json"); quantized)
      row["seconds"] = number_of(*quantized, "seconds");
    models["rows"].push_back(std::move(row));
    add_output_errors(folder, name, layers);
  }
  return models;
}

fourge::Result<Json> evaluate_models(const GatherOptions& options, const Extent& extent) {
  if (options.model.empty()) return Json{{"absent", options.model_absent}};
  const std::string text = text_path(options);
  if (text.empty()) return Json{{"absent", "No text to read: give one with --text."}};
  constexpr std::int64_t kBuiltIn = 8192;
  const std::int64_t most =
      options.text.empty() ? std::min(kBuiltIn, extent.text_tokens) : extent.text_tokens;
  const fourge::Result<quant::Checkpoint> checkpoint = quant::Checkpoint::open(options.model);
  if (!checkpoint) return checkpoint.failure();
  const fourge::Result<std::vector<std::uint32_t>> ids =
      quant::read_tokens(text, quant::TokenEncoding::automatic, checkpoint->config().vocabulary, most);
  if (!ids) return ids.failure();
  const fourge::Result<Json> base = evaluate_folder(options.model, *ids);
  if (!base) return base.failure();
  Json models = {{"source", fmt::format("{} on the first {} bytes of {}, windows of 256",
                                        fs::path(options.model).filename().string(), ids->size(),
                                        fs::path(text).lexically_normal().filename().string())},
                 {"float_bits_per_byte", number_of(*base, "bits_per_byte")},
                 {"rows", Json::array()},
                 {"absent", kCalibrated}};
  const struct {
    const char* name;
    Format format;
  } kRecipes[] = {{"rtn", Format::nvfp4}, {"4over6", Format::nvfp4}, {"rtn", Format::mxfp4}};
  for (const auto& [recipe_name, format] : kRecipes) {
    for (const bool activations : {true, false}) {
      fourge::Result<quant::Recipe> recipe = quant::named_recipe(recipe_name, format, activations);
      if (!recipe) return recipe.failure();
      const ScratchFolder scratch;
      quant::QuantizeJob job;
      job.model = options.model;
      job.out = scratch.path();
      job.recipe = *recipe;
      const fourge::Result<quant::QuantizeOutcome> outcome = quant::quantize_model(job);
      if (!outcome) return outcome.failure();
      const fourge::Result<Json> evaluation = evaluate_folder(scratch.path(), *ids);
      if (!evaluation) return evaluation.failure();
      models["rows"].push_back(
          model_row(fmt::format("{}-{}-{}", name_of(format), activations ? "w4a4" : "w4a16", recipe_name),
                    *evaluation, *base));
    }
  }
  return models;
}

}  // namespace fourge::report
