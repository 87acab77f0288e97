// The document of `fourge report`: what is measured here, and what files of other runs say.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/scaling/scaling.h"
#include "fourge/error.h"
#include "tools/report/html.h"
#include "tools/study/study.h"

namespace fourge::report {

enum class Mode : std::uint8_t { full, quick, smoke };
constexpr const char* name_of(Mode mode) {
  constexpr const char* kNames[] = {"full", "quick", "smoke"};
  return kNames[static_cast<int>(mode)];
}

struct GatherOptions {
  Mode mode = Mode::full;
  bool listings = true;
  std::string bench;    // JSON of the benchmarks (Google Benchmark's schema): its results instead of own ones
  std::string scaling;  // JSON of `fourge scaling`
  std::string study;    // JSON of `fourge study`
  std::string models;   // folder of *.eval.json, as tools/anchors/anchors.py keeps them under --work
  std::string model;    // float model folder; empty: none was found, and model_absent says why
  std::string model_absent;
  std::string text;                                           // for bits per byte; empty: a built-in text
  std::string version;                                        // of this program
  std::function<void(const std::string& what)> started = {};  // called when a part begins
};

/// How much of each part is measured.
struct Extent {
  std::int64_t size = 4096;  // N and K of products
  std::vector<std::int64_t> tokens = {1, 4, 8, 16, 32, 64, 128, 256, 512};
  std::int64_t every_kernel = 128;  // the M at which every kernel runs
  double product_seconds = 0.15;
  bench::ScalingOptions scaling = {.extent = bench::ScalingExtent::quick};
  study::StudySpec study = {.draws = 4};
  std::int64_t layer_blocks = 0;     // blocks of the model whose weights are looked at; 0: all
  std::int64_t text_tokens = 65536;  // at most
  std::string reduced;               // why it is less than was asked for; empty: it is not
};
/// quick takes about a minute: less is measured where the slowest kernel that dispatch chooses is slow, as
/// without vectors or under an emulator; its speed is measured for that. smoke is the least there is.
fourge::Result<Extent> extent_of(const GatherOptions& options);

/// All parts. What cannot be had on this machine is in the document with the reason. Errors: files that
/// cannot be read or are not what they should be; a kernel that contradicts the reference (kBadFile is never
/// that).
fourge::Result<Json> gather(const GatherOptions& options);

// Its parts.
Json measure_context(const GatherOptions& options);
/// Rows of "results"; adds "peers" to the context. `wrong` receives the first output that is not the
/// reference's.
fourge::Result<Json> measure_products(const Extent& extent, Json& context, std::string& wrong);
/// Context and results of a benchmark document.
Status take_bench(const Json& bench, Json& document);
fourge::Result<Json> measure_certified(const GatherOptions& options);
fourge::Result<Json> weight_errors(const GatherOptions& options, const Extent& extent);
/// "models" from a folder of results; adds output errors to `layers`.
fourge::Result<Json> read_models(const std::string& folder, Json& layers);
/// "models" from the shipped model, by recipes that need no calibration.
fourge::Result<Json> evaluate_models(const GatherOptions& options, const Extent& extent);
fourge::Result<Json> kernel_listings(const GatherOptions& options);
Json evidence_table();

/// A JSON file; kNotFound, kIo, kBadFile.
fourge::Result<Json> read_json(const std::string& path);

}  // namespace fourge::report
