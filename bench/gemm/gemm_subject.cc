#include "bench/gemm/gemm_subject.h"

#include <cstdlib>
#include <optional>

#include "jit/gemm/exact_gemm.h"
#include "jit/select.h"

namespace fourge::bench {
namespace {

// Through Gemm: what a user calls.
class PublicSubject final : public GemmSubject {
 public:
  explicit PublicSubject(Gemm gemm) : gemm_(std::move(gemm)) {}

  Status pack(const QuantizedView& weights) override {
    Result<PackedWeights> packed = gemm_.pack(weights);
    if (!packed.ok()) return packed.failure();
    packed_ = std::move(*packed);
    return {};
  }
  Status run(const QuantizedView& a, const GemmOperands& operands, int threads, RunStats& stats) override {
    return gemm_.run(a, packed_, operands, {.threads = threads}, &stats);
  }
  std::int64_t packed_bytes() const override { return packed_.bytes(); }
  KernelCode code() const override { return gemm_.code(); }

 private:
  Gemm gemm_;
  PackedWeights packed_;
};

// A kernel that dispatch does not know.
class KernelSubject final : public GemmSubject {
 public:
  KernelSubject(const GemmSpec& spec, std::shared_ptr<const jit::GemmKernel> kernel)
      : spec_(spec), kernel_(std::move(kernel)) {}

  Status pack(const QuantizedView& weights) override {
    bytes_ = kernel_->packed_bytes(spec_.n, spec_.k);
    memory_.reset(
        static_cast<std::uint8_t*>(std::aligned_alloc(64, static_cast<std::size_t>(round_up(bytes_, 64)))));
    if (memory_ == nullptr) return {Error::kOutOfMemory, "no memory for the packed weights"};
    kernel_->pack(weights, memory_.get());
    return {};
  }
  Status run(const QuantizedView& a, const GemmOperands& operands, int threads, RunStats& stats) override {
    return kernel_->run(spec_, a, memory_.get(), operands, threads, stats);
  }
  std::int64_t packed_bytes() const override { return bytes_; }
  KernelCode code() const override { return kernel_->code(); }

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
  };

  GemmSpec spec_;
  std::shared_ptr<const jit::GemmKernel> kernel_;
  std::unique_ptr<std::uint8_t, Free> memory_;
  std::int64_t bytes_ = 0;
};

using MadeSubject = Result<std::unique_ptr<GemmSubject>>;

GemmSubjectEntry registered(const jit::GemmKernelEntry& entry) {
  return {.name = [&entry](const GemmSpec& spec) { return entry.name(spec); },
          .isa = entry.isa,
          .numerics = entry.numerics,
          .refusal = entry.refusal,
          .make = [&entry](const GemmSpec& spec) -> MadeSubject {
            const std::string name = entry.name(spec);
            Result<Gemm> gemm = Gemm::create(spec, {.kernel = name.c_str(), .max_isa = name_of(entry.isa)});
            if (!gemm.ok()) return gemm.failure();
            return MadeSubject(std::make_unique<PublicSubject>(std::move(*gemm)));
          }};
}

#if defined(__x86_64__)
GemmSubjectEntry only_general() {
  return {.name =
              [](const GemmSpec& spec) {
                return jit::gemm_kernel_name(spec, "1x16x64", "avx512_vnni_only_general");
              },
          .isa = jit::Isa::avx512,
          .numerics = Numerics::blackwell,
          .is_variant = true,
          .refusal = jit::exact_refusal,
          .make = [](const GemmSpec& spec) -> MadeSubject {
            auto kernel = jit::make_exact_vnni_debug(spec, false, true);
            if (!kernel.ok()) return kernel.failure();
            return MadeSubject(std::make_unique<KernelSubject>(spec, std::move(*kernel)));
          }};
}
#endif

}  // namespace

std::vector<GemmSubjectEntry> gemm_subjects() {
  std::vector<GemmSubjectEntry> subjects;
  for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) subjects.push_back(registered(entry));
#if defined(__x86_64__)
  subjects.push_back(only_general());
#endif
  return subjects;
}

}  // namespace fourge::bench
