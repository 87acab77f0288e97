// The cases of shared/golden/quant/manifest.json that fourge's rules compute.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "quant/quantize.h"
#include "tests/quant/golden.h"

namespace fourge::quant {

struct GoldenMatrix {
  std::string name;
  GoldenInput matrix;
};

struct GoldenCase {
  std::string key;    // "gauss_bf16/nvfp4_mse_2d"
  std::string input;  // "gauss_bf16"
  QuantizeSpec spec;
  float amax = 0.0f;  // 0 when the manifest has none
  std::filesystem::path codes_file, scales_file;
  /// False where the folder that models the codes has scales of another policy: below 2688 / FLT_MAX upstream
  /// divides to NaN and fouroversix's CUDA code to infinity; fourge clamps as Transformer Engine does.
  bool scales_are_canonical = true;

  GoldenBytes codes() const { return read_golden_bytes(codes_file); }
  GoldenBytes scales() const { return read_golden_bytes(scales_file); }
};

class GoldenManifest {
 public:
  explicit GoldenManifest(const std::filesystem::path& folder) : folder_(folder) {
    std::ifstream stream(folder / "manifest.json");
    for (const Json& input : Json::parse(stream)) {
      const std::string name = input["input"];
      inputs_.push_back({name, read_golden_input(folder / input["file"].get<std::string>())});
      for (const Json& golden_case : input["cases"]) add_case(name, golden_case);
      add_mx_rules(name);
    }
  }

  const std::vector<GoldenMatrix>& inputs() const { return inputs_; }
  const std::vector<GoldenCase>& cases() const { return cases_; }
  const GoldenInput& input(const std::string& name) const {
    for (const GoldenMatrix& input : inputs_)
      if (input.name == name) return input.matrix;
    ADD_FAILURE() << name;
    return inputs_.front().matrix;
  }

 private:
  using Json = nlohmann::json;

  // hw_te, then hw_fos_cuda, model the hardware where upstream's PyTorch code does not saturate.
  void add_case(const std::string& input, const Json& golden_case) {
    const std::string dtype = golden_case["dtype"], rule = golden_case["rule"];
    if ((dtype != "nvfp4" && dtype != "mxfp4") || rule == "te_static") return;
    GoldenCase out;
    out.key = golden_case["key"];
    out.input = input;
    out.spec.format = dtype == "nvfp4" ? Format::nvfp4 : Format::mxfp4;
    out.spec.block_2d = golden_case["block_2d"];
    out.spec.rule = *scale_rule_of_name(out.spec.format, rule);
    out.amax = golden_case["amax"];
    const Json* files = &golden_case;
    for (const char* model : {"hw_fos_cuda", "hw_te"})
      if (golden_case.contains(model) && golden_case[model].contains("codes")) files = &golden_case[model];
    out.codes_file = folder_ / (*files)["codes"].get<std::string>();
    out.scales_file = folder_ / (*files)["scales"].get<std::string>();
    const bool modelled_by_te = golden_case.contains("hw_te") || dtype == "mxfp4";
    out.scales_are_canonical = modelled_by_te || out.amax == 0.0f || out.amax >= 7.9e-36f;
    cases_.push_back(std::move(out));
  }

  void add_mx_rules(const std::string& input) {
    for (const ScaleRule rule : {ScaleRule::floor, ScaleRule::ceil, ScaleRule::even, ScaleRule::rceil}) {
      const std::string stem = (folder_ / "mx_rules" / (input + "." + name_of(rule))).string();
      if (!std::filesystem::exists(stem + ".codes.npy")) continue;
      GoldenCase out;
      out.key = input + "/mxfp4_" + name_of(rule);
      out.input = input;
      out.spec.format = Format::mxfp4;
      out.spec.rule = rule;
      out.codes_file = stem + ".codes.npy";
      out.scales_file = stem + ".scales.npy";
      cases_.push_back(std::move(out));
    }
  }

  std::filesystem::path folder_;
  std::vector<GoldenMatrix> inputs_;
  std::vector<GoldenCase> cases_;
};

}  // namespace fourge::quant
