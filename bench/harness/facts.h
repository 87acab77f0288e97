// What is known of one benchmark beyond Google Benchmark's figures: for tables, JSON and the report.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bench/peaks/timing.h"
#include "fourge/kernel.h"

namespace fourge::bench {

/// The physical bound beside a result.
struct BoundFacts {
  std::string by;                   // a unit, "read_bandwidth", "copy", "store", "read"
  double seconds = 0;               // of the bound
  std::optional<double> unit_gops;  // of the unit that computes
  std::optional<double> gbps;       // of the memory that is read, at the footprint
};

enum class CaseStatus : std::uint8_t { ok, wrong, left_out };
constexpr const char* name_of(CaseStatus status) {
  return status == CaseStatus::ok ? "ok" : status == CaseStatus::wrong ? "wrong" : "left_out";
}

/// Known before it runs, above; found by running, below. Zero and empty: does not apply.
struct CaseFacts {
  std::string operation;  // "gemm", "hadamard", "peer", ...
  std::string kernel;     // or the peer, the function, the model
  std::string isa{};
  std::string format{};
  std::string numerics{};
  std::string activations{};
  std::string footprint{};
  std::int64_t m = 0, n = 0, k = 0;  // products
  std::int64_t rows = 0, cols = 0, order = 0;
  int threads = 1;
  std::string verified{};  // against what: "bits", "bound", "quant", ...

  CaseStatus status = CaseStatus::ok;
  std::string reason{};  // wrong or left out: why
  Times times{};
  double calls = 1;  // in each of the times
  double operations = 0, elements = 0, bytes = 0;
  std::optional<BoundFacts> bound{};
  std::optional<double> certified{}, relative_error{}, clock_ghz{};
  KernelCode code{};  // of a kernel
};

}  // namespace fourge::bench
