// What is benchmarked: a kernel of the registry through the public interface, or one of its debug variants.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fourge/gemm.h"
#include "jit/cpu.h"

namespace fourge::bench {

/// One kernel with its packed weights.
class GemmSubject {
 public:
  virtual ~GemmSubject() = default;
  virtual Status pack(const QuantizedView& weights) = 0;
  virtual Status run(const QuantizedView& a, const GemmOperands& operands, int threads, RunStats& stats) = 0;
  virtual std::int64_t packed_bytes() const = 0;
  virtual KernelCode code() const = 0;
};

struct GemmSubjectEntry {
  std::function<std::string(const GemmSpec&)> name;
  jit::Isa isa;
  Numerics numerics;
  bool is_variant = false;  // not what dispatch would run
  std::function<const char*(const GemmSpec&)> refusal;
  std::function<Result<std::unique_ptr<GemmSubject>>(const GemmSpec&)> make;
};

/// The registry's kernels, best first, then variants: "..._only_general" never takes the short path.
std::vector<GemmSubjectEntry> gemm_subjects();

}  // namespace fourge::bench
