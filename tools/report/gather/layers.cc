// What rounding does to the weights of every layer of a model.
#include <algorithm>

#include "quant/model/checkpoint.h"
#include "quant/model/linear.h"
#include "tools/report/gather/gather.h"
#include "tools/study/quantization_error.h"

namespace fourge::report {
namespace {

std::vector<study::Recipe> layer_recipes() {
  return {{Format::nvfp4, ScaleRule::static_6, 0}, {Format::nvfp4, ScaleRule::mse_4_6, 0},
          {Format::nvfp4, ScaleRule::sweep, 0},    {Format::nvfp4, ScaleRule::static_6, 16},
          {Format::mxfp4, ScaleRule::floor, 0},    {Format::mxfp4, ScaleRule::shift, 0},
          {Format::mxfp4, ScaleRule::sweep, 0},    {Format::mxfp4, ScaleRule::shift, 32}};
}

struct Layer {
  std::string name;
  quant::LinearShape shape;
  std::vector<float> values;
};

fourge::Result<std::vector<Layer>> read_layers(const quant::Checkpoint& checkpoint, std::int64_t blocks) {
  std::vector<Layer> layers;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (const quant::Linear linear : quant::kLinears) {
      Layer layer{quant::module_path(block, linear), quant::shape_of(checkpoint.config(), linear), {}};
      const fourge::Result<quant::Tensor> tensor =
          checkpoint.find_finite(layer.name + ".weight", {layer.shape.rows, layer.shape.cols});
      if (!tensor) return tensor.failure();
      fourge::Result<std::vector<float>> values = quant::tensor_to_f32(*tensor);
      if (!values) return values.failure();
      layer.values = std::move(*values);
      layers.push_back(std::move(layer));
    }
  }
  return layers;
}

}  // namespace

fourge::Result<Json> weight_errors(const GatherOptions& options, const Extent& extent) {
  if (options.model.empty()) return Json{{"absent", options.model_absent}};
  const fourge::Result<quant::Checkpoint> checkpoint = quant::Checkpoint::open(options.model);
  if (!checkpoint) return checkpoint.failure();
  const std::int64_t all = checkpoint->config().layers,
                     blocks = extent.layer_blocks > 0 ? std::min(extent.layer_blocks, all) : all;
  const fourge::Result<std::vector<Layer>> layers = read_layers(*checkpoint, blocks);
  if (!layers) return layers.failure();
  Json document = {{"model", std::filesystem::path(options.model).filename().string()},
                   {"weights", Json::array()}};
  for (const study::Recipe& recipe : layer_recipes()) {
    Json rows = Json::array();
    double sum = 0;
    for (const Layer& layer : *layers) {
      const fourge::Result<study::QuantizationError> error =
          study::quantization_error(layer.values, layer.shape.rows, layer.shape.cols, recipe);
      if (!error) return error.failure();
      rows.push_back({{"name", layer.name}, {"error", error->relative_mse}});
      sum += error->relative_mse;
    }
    document["weights"].push_back({{"recipe", study::name_of(recipe)},
                                   {"mean", sum / static_cast<double>(layers->size())},
                                   {"layers", std::move(rows)}});
  }
  return document;
}

}  // namespace fourge::report
