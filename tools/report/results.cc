#include "tools/report/results.h"

#include <algorithm>
#include <set>

namespace fourge::report {

std::vector<Measured> results(const Json& document, const std::function<bool(const Measured&)>& keep) {
  std::vector<Measured> kept;
  const Json& all = at(document, "/results");
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Measured result{&all[i], i};
    if (result.ran() && keep(result)) kept.push_back(result);
  }
  return kept;
}

std::string kind_of(const Measured& result) {
  if (result.is_peer()) {
    const std::string name = result.text("kernel");
    if (name == "onednn_bf16") return "oneDNN bf16";
    if (name == "openblas_f32") return "OpenBLAS f32";
    if (name == "libxsmm_bf16") return "libxsmm bf16";
    return name == "ggml_mxfp4" ? "ggml MXFP4" : name;
  }
  std::string format = result.text("format");
  std::transform(format.begin(), format.end(), format.begin(),
                 [](char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c); });
  const std::string activations = result.text("activations");
  const bool plain = !activations.empty() && activations != "same" && activations != result.text("format");
  return plain ? format + ", W4A16 " + activations : format + ", " + result.text("numerics");
}

Plane main_plane(const Json& document) {
  std::map<std::pair<std::string, std::string>, std::set<std::string>> tokens;
  for (const Measured& result : results(document, [](const Measured& r) {
         return r.text("operation") == "gemm" && r.text("threads") == "1";
       }))
    tokens[{result.text("n"), result.text("k")}].insert(result.text("m"));
  Plane best;
  std::size_t most = 0;
  double largest = 0;
  for (const auto& [sizes, values] : tokens) {
    const double area = std::stod(sizes.first) * std::stod(sizes.second);
    if (values.size() < most || (values.size() == most && area <= largest)) continue;
    most = values.size();
    largest = area;
    best = {sizes.first, sizes.second};
  }
  return best;
}

std::vector<Measured> fastest_of_each_kind(const std::vector<Measured>& all) {
  std::map<std::string, Measured> fastest;
  std::vector<std::string> order;
  for (const Measured& result : all) {
    const std::string key = kind_of(result) + "/" + result.shape() + "/" + result.text("threads");
    const auto [entry, is_new] = fastest.try_emplace(key, result);
    if (is_new) order.push_back(key);
    if (result.number("best_us") < entry->second.number("best_us")) entry->second = result;
  }
  std::vector<Measured> kept;
  for (const std::string& key : order) kept.push_back(fastest.at(key));
  return kept;
}

}  // namespace fourge::report
