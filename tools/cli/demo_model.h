// The shipped model as the demonstration uses it: MLP weights and what flows into them when it reads a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "bench/support/gemm_data.h"
#include "fourge/error.h"
#include "quant/safetensors.h"

namespace fourge::cli {

/// models/nano: `given` when it is not empty, else beside the source tree, the program, or the current
/// folder. kNotFound lists the places.
Result<std::filesystem::path> find_model(const std::string& given);

/// A Llama in Hugging Face's files: config.json, model.safetensors. Token id = byte.
class DemoModel {
 public:
  static Result<DemoModel> open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  std::int64_t layers() const { return layers_; }
  std::int64_t hidden() const { return hidden_; }

  /// Weights [out, in] of a layer's "mlp.gate_proj", "mlp.up_proj" or "mlp.down_proj".
  Result<bench::Values> weights(std::int64_t layer, const std::string& linear) const;
  std::string tensor_name(std::int64_t layer, const std::string& linear) const;

  /// One row for each byte of the text: x = RMSNorm(embedding) * gain of the layer's MLP. Attention and the
  /// layers before are left out.
  Result<bench::Values> gate_inputs(std::int64_t layer, std::string_view text) const;
  /// silu(x Wgate^T) * (x Wup^T) of those rows.
  Result<bench::Values> down_inputs(std::int64_t layer, const bench::Values& x) const;

 private:
  DemoModel(std::filesystem::path folder, quant::Safetensors file)
      : folder_(std::move(folder)), file_(std::move(file)) {}
  Status read_config();

  std::filesystem::path folder_;
  quant::Safetensors file_;
  std::int64_t layers_ = 0, hidden_ = 0;
  double norm_epsilon_ = 1e-5;
};

}  // namespace fourge::cli
