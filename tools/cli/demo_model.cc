#include "tools/cli/demo_model.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "tools/cli/matrix_source.h"

namespace fourge::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeightsFile = "model.safetensors";

// X W^T in f32, sums in ascending k.
bench::Values multiply(const bench::Values& x, const bench::Values& w) {
  bench::Values d{x.rows, w.rows, std::vector<float>(static_cast<std::size_t>(x.rows * w.rows))};
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < w.rows; ++j) {
      float sum = 0;
      for (std::int64_t k = 0; k < x.cols; ++k) sum += x.row(i)[k] * w.row(j)[k];
      d.data[static_cast<std::size_t>(i * w.rows + j)] = sum;
    }
  }
  return d;
}

float silu(float x) { return x / (1.0f + std::exp(-x)); }

}  // namespace

Result<fs::path> find_model(const std::string& given) {
  if (!given.empty()) return fs::path(given);
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::vector<fs::path> places = {fs::path(FOURGE_SOURCE_DIR) / "models/nano",
                                        program / "../../models/nano",
                                        program / "../share/fourge/models/nano", "models/nano"};
  std::vector<std::string> names;
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place / kWeightsFile, ignored)) return place;
    names.push_back(place.lexically_normal().string());
  }
  return {Error::kNotFound, "expected the shipped model in one of these folders, or --model",
          fmt::format("{}", fmt::join(names, ", "))};
}

Result<DemoModel> DemoModel::open(const fs::path& folder) {
  Result<quant::Safetensors> file = quant::Safetensors::open(folder / kWeightsFile);
  if (!file) return file.failure();
  DemoModel model(folder, std::move(*file));
  if (const Status read = model.read_config(); !read) return read.failure();
  return model;
}

Status DemoModel::read_config() {
  const fs::path path = folder_ / "config.json";
  std::ifstream stream(path);
  if (!stream) return {Error::kNotFound, "expected the model's configuration", path.string()};
  const auto config = nlohmann::json::parse(stream, nullptr, false);
  const auto is_size = [&](const char* key) {
    return config.is_object() && config.contains(key) && config[key].is_number_integer() && config[key] > 0;
  };
  if (!is_size("num_hidden_layers") || !is_size("hidden_size")) {
    return {Error::kBadFile, "expected a JSON object with num_hidden_layers and hidden_size", path.string()};
  }
  layers_ = config["num_hidden_layers"];
  hidden_ = config["hidden_size"];
  if (config.contains("rms_norm_eps") && config["rms_norm_eps"].is_number()) {
    norm_epsilon_ = config["rms_norm_eps"];
  }
  return {};
}

std::string DemoModel::tensor_name(std::int64_t layer, const std::string& linear) const {
  return fmt::format("model.layers.{}.{}.weight", layer, linear);
}

Result<bench::Values> DemoModel::weights(std::int64_t layer, const std::string& linear) const {
  return matrix_of(file_, tensor_name(layer, linear));
}

Result<bench::Values> DemoModel::gate_inputs(std::int64_t layer, std::string_view text) const {
  const Result<bench::Values> embedding = matrix_of(file_, "model.embed_tokens.weight");
  if (!embedding) return embedding.failure();
  const Result<quant::Tensor> gain_tensor =
      file_.find(fmt::format("model.layers.{}.post_attention_layernorm.weight", layer));
  if (!gain_tensor) return gain_tensor.failure();
  const Result<std::vector<float>> gain = quant::tensor_to_f32(*gain_tensor);
  if (!gain) return gain.failure();
  constexpr std::int64_t kBytes = 256;
  if (embedding->rows != kBytes || embedding->cols != hidden_ ||
      static_cast<std::int64_t>(gain->size()) != hidden_) {
    return {Error::kBadShape, "expected 256 embeddings and a gain of hidden_size", file_.name()};
  }

  bench::Values x{static_cast<std::int64_t>(text.size()), hidden_, {}};
  x.data.reserve(text.size() * static_cast<std::size_t>(hidden_));
  for (const char character : text) {
    const float* row = embedding->row(static_cast<unsigned char>(character));
    double squares = 0;
    for (std::int64_t i = 0; i < hidden_; ++i)
      squares += static_cast<double>(row[i]) * static_cast<double>(row[i]);
    const auto scale =
        static_cast<float>(1 / std::sqrt(squares / static_cast<double>(hidden_) + norm_epsilon_));
    for (std::int64_t i = 0; i < hidden_; ++i) {
      x.data.push_back(row[i] * scale * (*gain)[static_cast<std::size_t>(i)]);
    }
  }
  return x;
}

Result<bench::Values> DemoModel::down_inputs(std::int64_t layer, const bench::Values& x) const {
  const Result<bench::Values> gate = weights(layer, "mlp.gate_proj"), up = weights(layer, "mlp.up_proj");
  if (!gate) return gate.failure();
  if (!up) return up.failure();
  if (gate->cols != x.cols || up->cols != x.cols || gate->rows != up->rows) {
    return {Error::kBadShape, "expected gate_proj and up_proj of one shape, from hidden_size", file_.name()};
  }
  bench::Values h = multiply(x, *gate);
  const bench::Values u = multiply(x, *up);
  for (std::size_t i = 0; i < h.data.size(); ++i) h.data[i] = silu(h.data[i]) * u.data[i];
  return h;
}

}  // namespace fourge::cli
