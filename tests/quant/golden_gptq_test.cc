// FP-Quant's own GPTQ (d2e3092) on the problems of shared/golden/gptq.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "fourge/gptq.h"
#include "quant/e2m1.h"
#include "quant/gptq/grid.h"
#include "tests/quant/golden.h"
#include "tests/support/shared_data.h"

namespace fourge::quant {
namespace {

struct Problem {
  std::filesystem::path folder;
  std::string name, transform;
  GoldenInput w{}, w_rot{}, x{}, x_rot{};
  std::vector<double> hessian{};
};

Problem read_problem(const std::filesystem::path& gptq, const std::string& name,
                     const std::string& transform) {
  Problem p{.folder = gptq / name / transform, .name = name, .transform = transform};
  p.w = read_golden_input(gptq / name / "W.npy");
  p.x = read_golden_input(gptq / name / "X.npy");
  p.w_rot = read_golden_input(p.folder / "W_rot.npy");
  p.x_rot = read_golden_input(p.folder / "X_rot.npy");
  const GoldenInput h = read_golden_input(p.folder / "H.npy");
  p.hessian.assign(h.values.begin(), h.values.end());
  return p;
}

/// "problem,transform,format,observer,method" -> out_err_w.
std::map<std::string, double> read_results(const std::filesystem::path& path) {
  std::map<std::string, double> results;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream cells(line);
    std::string key, cell;
    for (int i = 0; i < 5 && std::getline(cells, cell, ','); ++i) key += (i == 0 ? "" : ",") + cell;
    if (std::getline(cells, cell, ',') && cell != "out_err_w") results[key] = std::stod(cell);
  }
  return results;
}

/// ||X W^T - X_rot Wq^T||^2 / ||X W^T||^2.
double output_error(const Problem& p, const QuantizedMatrix& m) {
  const ScaleTable table = ScaleTable::of(m.format, m.tensor_scale);
  const QuantizedView view = m.view();
  const int block = info(m.format).block;
  double error = 0.0, norm = 0.0;
  for (std::int64_t t = 0; t < p.x.rows; ++t) {
    for (std::int64_t n = 0; n < p.w.rows; ++n) {
      double y = 0.0, yq = 0.0;
      for (std::int64_t k = 0; k < p.w.cols; ++k) {
        const auto a = static_cast<std::size_t>(t * p.x.cols + k),
                   b = static_cast<std::size_t>(n * p.w.cols + k);
        y += static_cast<double>(p.x.values[a]) * static_cast<double>(p.w.values[b]);
        yq += static_cast<double>(p.x_rot.values[a]) * static_cast<double>(kE2m1Values[view.code(n, k)]) *
              table.value[view.scale(n, k / block)];
      }
      error += (y - yq) * (y - yq);
      norm += y * y;
    }
  }
  return error / norm;
}

/// Codes that differ, -0 taken as 0.
double differing(const QuantizedMatrix& m, const GoldenBytes& golden) {
  const auto plain = [](unsigned code) { return code == 8 ? 0u : code; };
  std::int64_t count = 0;
  for (std::size_t i = 0; i < m.codes.size(); ++i) {
    count += plain(m.codes[i] & 15u) != plain(golden.bytes[i] & 15u) ? 1 : 0;
    count += plain(m.codes[i] >> 4) != plain(golden.bytes[i] >> 4) ? 1 : 0;
  }
  return static_cast<double>(count) / static_cast<double>(2 * m.codes.size());
}

struct Case {
  const char* format;
  const char* observer;
  const char* method;

  GptqSpec spec() const {
    const bool nv = std::string(format) == "nvfp";
    GptqSpec spec;
    spec.format = nv ? Format::nvfp4 : Format::mxfp4;
    spec.rule = std::string(observer) == "mse" ? ScaleRule::search
                : nv                           ? ScaleRule::static_6
                                               : ScaleRule::shift;
    spec.order = std::string(method) == "gptq_activation" ? ColumnOrder::activation : ColumnOrder::natural;
    return spec;
  }
};

/// Whether the golden set has the case (MXFP4 is not rotated by 16).
bool check_case(const Problem& p, const Case& c, const std::map<std::string, double>& results) {
  const std::string stem = std::string(c.format) + "_" + c.observer + "_";
  if (!std::filesystem::exists(p.folder / (stem + c.method + "_codes.npy"))) return false;
  const bool nearest = std::string(c.method) == "rtn";
  const Result<GptqResult> result =
      nearest ? round_to_nearest(p.w_rot.values, p.w_rot.rows, p.w_rot.cols, c.spec())
              : gptq(p.w_rot.values, p.w_rot.rows, p.w_rot.cols, p.hessian, c.spec());
  const std::string label = p.name + "," + p.transform + "," + c.format + "," + c.observer + "," + c.method;
  if (!result) {
    ADD_FAILURE() << label << ": " << result.failure().message();
    return true;
  }
  const GoldenBytes scales = read_golden_bytes(p.folder / (stem + "scales_u8.npy"));
  EXPECT_EQ(result->matrix.scales, scales.bytes) << label;
  const double fraction =
      differing(result->matrix, read_golden_bytes(p.folder / (stem + c.method + "_codes.npy")));
  EXPECT_LE(fraction, 0.002) << label;
  const double expected = results.at(label);
  EXPECT_NEAR(output_error(p, result->matrix) / expected, 1.0, 0.5e-2) << label;
  return true;
}

TEST(GoldenGptq, EveryCaseOfFpQuant) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path gptq = shared / "golden" / "gptq";
  const std::map<std::string, double> results = read_results(gptq / "results.csv");
  int cases = 0;
  for (const char* problem : {"p64x256", "p48x320"}) {
    if (!std::filesystem::exists(gptq / problem)) continue;
    for (const char* transform : {"identity", "had16", "had32", "had64", "had128"}) {
      if (!std::filesystem::exists(gptq / problem / transform)) continue;
      const Problem p = read_problem(gptq, problem, transform);
      for (const char* format : {"nvfp", "mxfp"})
        for (const char* observer : {"minmax", "mse"})
          for (const char* method : {"rtn", "gptq_default", "gptq_activation"})
            cases += check_case(p, {format, observer, method}, results) ? 1 : 0;
    }
  }
  EXPECT_GE(cases, 54);  // of one problem: nvfp4 under five transforms, mxfp4 under four, six methods each
}

}  // namespace
}  // namespace fourge::quant
