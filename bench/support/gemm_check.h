// Whether a product is right (bit for bit, against reference/), and how far quantisation moved it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "bench/support/gemm_data.h"
#include "fourge/error.h"
#include "fourge/gemm.h"

namespace fourge::bench {

enum class CheckExtent : std::uint8_t { all, sample, none };
constexpr const char* name_of(CheckExtent extent) {
  return extent == CheckExtent::all ? "all" : extent == CheckExtent::sample ? "sample" : "none";
}

struct CheckResult {
  std::int64_t outputs = 0;
  std::int64_t mismatches = 0;
  std::string first = {};  // "D[3, 17]: expected 0x3f800000, got 0x3f800001"; empty when all are equal

  bool ok() const { return mismatches == 0; }
};

struct CheckOptions {
  CheckExtent extent = CheckExtent::all;
  int threads = 0;  // 0: OpenMP's default
  /// Called now and then, one call at a time, with how many more outputs were checked.
  std::function<void(std::int64_t)> progress = {};
};

/// Outputs that `extent` checks of an m x n product. A sample is up to 64 blocks of about 8 x 8, the corners
/// among them.
std::int64_t outputs_to_check(const GemmSpec& spec, CheckExtent extent);

/// Compares operands.d, computed by any kernel for `spec`, with what reference/ says. Rows in parallel.
/// Errors: what reference::gemm says.
Result<CheckResult> check_gemm(const GemmSpec& spec, const QuantizedView& a, const QuantizedView& b,
                               const GemmOperands& operands, const CheckOptions& options);

/// The same for plain activations (W4A16): the order that fourge/gemm.h defines.
Result<CheckResult> check_gemm(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                               const GemmOperands& operands, const CheckOptions& options);

/// ||D - X W^T|| / ||X W^T|| (Frobenius), X W^T in double precision from the values before quantisation.
struct RelativeError {
  double value = 0;
  std::int64_t outputs = 0;  // that were compared: all of them, or evenly spaced rows and columns
};
RelativeError relative_error(const GemmSpec& spec, const Values& x, const Values& w, const void* d,
                             std::int64_t most_products = std::int64_t{1} << 29);

}  // namespace fourge::bench
