// Reading the measured products of a document.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tools/report/chart.h"
#include "tools/report/html.h"

namespace fourge::report {

/// A product of the document: /results/<index>.
struct Measured {
  const Json* row;
  std::size_t index;

  std::string text(const char* key) const { return text_of(*row, key); }
  double number(const char* key) const { return number_of(*row, key); }
  std::string pointer(const std::string& key) const {
    return "/results/" + std::to_string(index) + "/" + key;
  }
  bool ran() const { return text("status") == "ok"; }
  bool is_peer() const { return text("operation") == "peer"; }
  /// "512x4096x4096"
  std::string shape() const { return text("m") + "x" + text("n") + "x" + text("k"); }
};

/// Results that ran and that `keep` takes.
std::vector<Measured> results(const Json& document, const std::function<bool(const Measured&)>& keep);

/// "NVFP4, blackwell", "MXFP4, W4A16 bf16", "oneDNN bf16".
std::string kind_of(const Measured& result);

/// The n and k that most values of m were measured with, one thread; empty where nothing was.
struct Plane {
  std::string n, k;
  bool contains(const Measured& result) const {
    return result.text("n") == n && result.text("k") == k && result.text("threads") == "1";
  }
};
Plane main_plane(const Json& document);

/// Whether the document has the registry's best kernel for each product only by choice ("chosen"), or every
/// kernel: of several kernels of one kind and shape, the fastest.
std::vector<Measured> fastest_of_each_kind(const std::vector<Measured>& all);

}  // namespace fourge::report
