// The physical bound of a product on this machine: the arithmetic unit the kernel uses, or reading the packed
// weights once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "bench/peaks/peaks.h"
#include "fourge/gemm.h"

namespace fourge::bench {

/// Peaks of this machine, each measured when first asked for and kept as long as this object: the same run.
class MachinePeaks {
 public:
  explicit MachinePeaks(double seconds = 0.1) : seconds_(seconds) {}

  std::optional<double> unit_gops(Unit unit, int threads);
  std::optional<double> read_gbps(std::int64_t bytes, int threads);
  std::optional<double> clock_ghz();

 private:
  double seconds_;
  std::map<std::pair<Unit, int>, std::optional<double>> units_;
  std::map<std::pair<std::int64_t, int>, std::optional<double>> reads_;
  std::optional<std::optional<double>> clock_;
};

constexpr const char* name_of(Unit unit) {
  switch (unit) {
    case Unit::fma_f32:
      return "fma_f32";
    case Unit::vnni_int8:
      return "vnni_int8";
    case Unit::amx_bf16:
      return "amx_bf16";
    case Unit::amx_int8:
      return "amx_int8";
  }
  return "";
}

/// The unit whose peak bounds a kernel of this level ("amx", "avx512", ...): amx_bf16, vnni_int8, else
/// fma_f32.
Unit bounding_unit(const std::string& isa);

struct Bound {
  double seconds = 0;
  double gflops = 0;       // 2 m n k / seconds
  std::string by;          // "vnni_int8", "read_bandwidth"
  double unit_gops = 0;    // of the arithmetic unit
  double weight_gbps = 0;  // of reading at the weights' footprint
};

/// The larger of 2 m n k / the unit's peak and packed_bytes / the read bandwidth at that footprint. None when
/// neither could be measured.
std::optional<Bound> gemm_bound(const GemmSpec& spec, const std::string& isa, std::int64_t packed_bytes,
                                int threads, MachinePeaks& peaks);

}  // namespace fourge::bench
