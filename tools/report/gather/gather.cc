#include "tools/report/gather/gather.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "jit/cpu.h"
#include "tools/report/gather/scaling_json.h"

namespace fourge::report {
namespace {

void say(const GatherOptions& options, const char* what) {
  if (options.started) options.started(what);
}

Status add_products(const GatherOptions& options, const Extent& extent, Json& document) {
  if (!options.bench.empty()) {
    const fourge::Result<Json> bench = read_json(options.bench);
    if (!bench) return bench.failure();
    return take_bench(*bench, document);
  }
  say(options, "products");
  std::string wrong;
  fourge::Result<Json> products = measure_products(extent, document["context"], wrong);
  if (!products) return products.failure();
  document["results"] = std::move(*products);
  document["wrong"] = wrong.empty() ? Json(nullptr) : Json(wrong);
  return {};
}

Status add_scaling(const GatherOptions& options, const Extent& extent, Json& document) {
  if (!options.scaling.empty()) {
    const fourge::Result<Json> file = read_json(options.scaling);
    if (!file) return file.failure();
    if (!file->contains("scaling"))
      return {Error::kBadFile, "expected the document of fourge scaling, with \"scaling\"", options.scaling};
    document["scaling"] = file->at("scaling");
    document["scaling"]["cpu"] = text_of(*file, "cpu");
    return {};
  }
  say(options, "scaling");
  const fourge::Result<bench::Scaling> scaling = bench::measure_scaling(extent.scaling);
  if (!scaling) return scaling.failure();
  document["scaling"] = to_json(*scaling);
  document["scaling"]["cpu"] = jit::host_name();
  if (!scaling->wrong.empty()) document["wrong"] = scaling->wrong;
  return {};
}

Status add_study(const GatherOptions& options, const Extent& extent, Json& document) {
  if (!options.study.empty()) {
    fourge::Result<Json> file = read_json(options.study);
    if (!file) return file.failure();
    if (!file->contains("cells"))
      return {Error::kBadFile, "expected the document of fourge study, with \"cells\"", options.study};
    document["study"] = std::move(*file);
    return {};
  }
  say(options, "random values");
  const fourge::Result<std::vector<study::StudyCell>> cells = study::run_study(extent.study);
  if (!cells) return cells.failure();
  document["study"] = study::to_json(extent.study, *cells);
  return {};
}

Status add_models(const GatherOptions& options, const Extent& extent, Json& document) {
  say(options, "layers");
  fourge::Result<Json> layers = weight_errors(options, extent);
  if (!layers) return layers.failure();
  say(options, "bits per byte");
  fourge::Result<Json> models =
      options.models.empty() ? evaluate_models(options, extent) : read_models(options.models, *layers);
  if (!models) return models.failure();
  document["layers"] = std::move(*layers);
  document["models"] = std::move(*models);
  return {};
}

}  // namespace

fourge::Result<Json> read_json(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {Error::kNotFound, "cannot be opened", path};
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.good()) return {Error::kIo, "cannot be read", path};
  Json document = Json::parse(text.str(), nullptr, false);
  if (document.is_discarded()) return {Error::kBadFile, "expected JSON", path};
  if (!document.is_object()) return {Error::kBadFile, "expected a JSON object", path};
  return document;
}

// What was given is looked at before minutes are spent on measuring.
Status check_inputs(const GatherOptions& options) {
  std::vector<std::string> inputs;
  for (const std::string& file : {options.bench, options.scaling, options.study})
    if (!file.empty()) inputs.push_back(file);
  if (!options.models.empty())
    inputs.push_back((std::filesystem::path(options.models) / "float.eval.json").string());
  for (const std::string& file : inputs) {
    if (const fourge::Result<Json> read = read_json(file); !read) return read.failure();
  }
  return {};
}

fourge::Result<Json> gather(const GatherOptions& options) {
  if (const Status readable = check_inputs(options); !readable) return readable.failure();
  Json document = {{"fourge_report", 1}, {"mode", name_of(options.mode)}};
  say(options, "pace");
  const fourge::Result<Extent> extent = extent_of(options);
  if (!extent) return extent.failure();
  document["reduced"] = extent->reduced.empty() ? Json(nullptr) : Json(extent->reduced);
  say(options, "peaks");
  if (options.bench.empty()) document["context"] = measure_context(options);
  for (const auto add : {add_products, add_scaling, add_study, add_models}) {
    if (const Status added = add(options, *extent, document); !added) return added.failure();
  }
  say(options, "certified share");
  fourge::Result<Json> certified = measure_certified(options);
  if (!certified) return certified.failure();
  document["certified"] = std::move(*certified);
  say(options, "kernels");
  fourge::Result<Json> kernels = kernel_listings(options);
  if (!kernels) return kernels.failure();
  document["kernels"] = std::move(*kernels);
  document["evidence"] = evidence_table();
  return document;
}

}  // namespace fourge::report
