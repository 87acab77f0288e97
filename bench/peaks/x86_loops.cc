#include <bit>
#include <cstddef>

#include "bench/peaks/loops.h"
#include "jit/asm/x86_generator.h"

namespace fourge::bench {
namespace {

using jit::ExecutableCode;
using Xbyak::Label;
using Xbyak::Tmm;
using Xbyak::Ymm;
using Xbyak::Zmm;

// A loop of `iterations` rounds; what a round holds is up to the class below.
class CountedLoop : public jit::X86Generator {
 public:
  jit::KernelNotes notes() const override { return {}; }

 protected:
  void generate() override {
    prologue(64);
    mov(rounds, ptr[args + offsetof(LoopArgs, iterations)]);
    before();
    Label next;
    align(64);
    L(next);
    round();
    dec(rounds);
    jnz(next, T_NEAR);
    after();
    epilogue();
    pool();
  }
  virtual void before() {}
  virtual void round() = 0;
  virtual void after() {}
  virtual void pool() {}

  const Xbyak::Reg64 args = rdi, rounds = rcx, source = rsi, stride = rdx;
};

// Each accumulator waits for itself: 16 chains hide 4 or 5 cycles of latency on two ports twice over.
constexpr int kChains = 16;

class VectorUnitLoop final : public CountedLoop {
 public:
  VectorUnitLoop(Unit unit, bool zmm) : unit_(unit), zmm_(zmm) {}
  std::int64_t operations() const {
    const int f32_lanes = zmm_ ? 16 : 8;
    return std::int64_t{2} * accumulators() * f32_lanes * (unit_ == Unit::vnni_int8 ? 4 : 1);
  }

 private:
  // AVX2 has 16 registers, two of them operands.
  int accumulators() const { return zmm_ ? kChains : 12; }

  // x = x / 2 + 1 tends to 2: no infinities, no subnormals.
  void before() override {
    if (unit_ == Unit::vnni_int8) {
      for (int i = 0; i < kChains + 2; ++i) vpternlogd(Zmm(i), Zmm(i), Zmm(i), 0xff);
      return;
    }
    for (int i = 0; i < accumulators(); ++i) {
      zmm_ ? vbroadcastss(Zmm(i), ptr[rip + half_]) : vbroadcastss(Ymm(i), ptr[rip + half_]);
    }
    zmm_ ? vbroadcastss(Zmm(kChains), ptr[rip + half_]) : vbroadcastss(Ymm(14), ptr[rip + half_]);
    zmm_ ? vbroadcastss(Zmm(kChains + 1), ptr[rip + one_]) : vbroadcastss(Ymm(15), ptr[rip + one_]);
  }
  void round() override {
    for (int i = 0; i < accumulators(); ++i) {
      if (unit_ == Unit::vnni_int8) {
        vpdpbusd(Zmm(i), Zmm(kChains), Zmm(kChains + 1));
      } else if (zmm_) {
        vfmadd213ps(Zmm(i), Zmm(kChains), Zmm(kChains + 1));
      } else {
        vfmadd213ps(Ymm(i), Ymm(14), Ymm(15));
      }
    }
  }
  void pool() override {
    L(half_);
    dd(std::bit_cast<std::uint32_t>(0.5f));
    L(one_);
    dd(std::bit_cast<std::uint32_t>(1.0f));
  }

  Unit unit_;
  bool zmm_;
  Label half_, one_;
};

// 2 x 2 tiles: four accumulators of 16 x 16, each used every 64 cycles against 52 of latency.
class TileUnitLoop final : public CountedLoop {
 public:
  explicit TileUnitLoop(Unit unit) : unit_(unit) {}
  std::int64_t operations() const { return std::int64_t{2} * 4 * 16 * 16 * (bf16() ? 32 : 64); }

 private:
  bool bf16() const { return unit_ == Unit::amx_bf16; }

  void before() override {
    ldtilecfg(ptr[rip + config_]);
    mov(source, ptr[args + offsetof(LoopArgs, source)]);
    mov(stride, 64);
    for (int i = 0; i < 4; ++i) tilezero(Tmm(i));
    for (int i = 4; i < 8; ++i) tileloadd(Tmm(i), ptr[source + stride]);
  }
  void round() override {
    for (int i = 0; i < 4; ++i) {
      const Tmm a(4 + i / 2), b(6 + i % 2);
      bf16() ? tdpbf16ps(Tmm(i), a, b) : tdpbssd(Tmm(i), a, b);
    }
  }
  void after() override { tilerelease(); }
  // Palette 1, eight tiles of 16 rows of 64 bytes (Intel SDM vol. 1, 18.3.1).
  void pool() override {
    align(64);
    L(config_);
    for (int i = 0; i < 64; ++i) {
      const bool palette = i == 0, column_bytes = i >= 16 && i < 32 && i % 2 == 0, rows = i >= 48 && i < 56;
      db(palette ? 1 : column_bytes ? 64 : rows ? 16 : 0);
    }
  }

  Unit unit_;
  Label config_;
};

constexpr int kMultiplications = 64, kMultiplyLatency = 3;

class MultiplyChain final : public CountedLoop {
  void before() override { mov(rax, 3); }
  void round() override {
    for (int i = 0; i < kMultiplications; ++i) imul(rax, rax);
  }
};

class MemoryLoop final : public jit::X86Generator {
 public:
  MemoryLoop(const MemoryLoopSpec& spec, bool zmm) : spec_(spec), width_(zmm ? 64 : 32) {}
  jit::KernelNotes notes() const override { return {}; }

 private:
  static constexpr int kVectors = 8;  // of one stream in one round
  static_assert(kLoopBytes % (4 * kVectors * 64) == 0);

  void generate() override {
    prologue(64);
    mov(source, ptr[args + offsetof(LoopArgs, source)]);
    mov(destination, ptr[args + offsetof(LoopArgs, destination)]);
    mov(part, ptr[args + offsetof(LoopArgs, bytes)]);
    if (spec_.store) mov(source, destination);
    sub(destination, source);              // destination - source, so that one pointer serves both
    if (spec_.streams == 4) shr(part, 2);  // bytes of a stream
    lea(part_3, ptr[part + 2 * part]);     // 3 * part
    mov(end, source);
    add(end, part);
    Label next;
    align(64);
    L(next);
    for (int stream = 0; stream < spec_.streams; ++stream) {
      for (int i = 0; i < kVectors; ++i) move(stream, i);
    }
    add(source, kVectors * width_);
    cmp(source, end);
    jb(next, T_NEAR);
    if (spec_.non_temporal) sfence();
    epilogue();
  }

  Xbyak::RegExp stream_base(int stream) const {
    switch (stream) {
      case 1:
        return source + part;
      case 2:
        return source + part * 2;
      case 3:
        return source + part_3;
      default:
        return source;
    }
  }

  void move(int stream, int i) {
    const Xbyak::RegExp from = stream_base(stream) + i * width_;
    if (spec_.prefetch > 0 && (i * width_) % 64 == 0) prefetcht0(ptr[from + spec_.prefetch]);
    if (width_ == 64) {
      move_vector(Zmm(i), from, to(i));
    } else {
      move_vector(Ymm(i), from, to(i));
    }
  }
  template <class Vector>
  void move_vector(const Vector& vector, const Xbyak::RegExp& from, const Xbyak::Address& to) {
    if (!spec_.store) vmovaps(vector, ptr[from]);
    if (!spec_.copy && !spec_.store) return;
    spec_.non_temporal ? vmovntps(to, vector) : vmovaps(to, vector);
  }
  // Copies and stores are of one stream.
  Xbyak::Address to(int i) const { return ptr[source + destination + i * width_]; }

  MemoryLoopSpec spec_;
  int width_;
  const Xbyak::Reg64 args = rdi, source = rsi, part = rdx, part_3 = rcx, end = r8, destination = r9;
};

}  // namespace

const char* missing_unit(Unit unit, const jit::CpuFeatures& features) {
  switch (unit) {
    case Unit::fma_f32:
      return features.missing_for(jit::Isa::avx2);
    case Unit::vnni_int8:
      return features.missing_for(jit::Isa::avx512);
    case Unit::amx_bf16:
      return features.missing_for(jit::Isa::amx);
    case Unit::amx_int8:
      if (const char* reason = features.missing_for(jit::Isa::amx)) return reason;
      return features.amx_int8 ? nullptr : "no AMX-INT8";
  }
  return "unknown unit";
}

Result<UnitLoop> make_unit_loop(Unit unit) {
  const jit::CpuFeatures& features = jit::host_features();
  if (const char* missing = missing_unit(unit, features)) return {Error::kUnsupportedIsa, missing};
  const auto finish = [](auto&& loop, const char* name) -> Result<UnitLoop> {
    Result<ExecutableCode> code = loop.assemble(name);
    if (!code.ok()) return code.failure();
    return UnitLoop{std::move(*code), loop.operations()};
  };
  const Result<std::optional<jit::Isa>>& cap = jit::environment_max_isa();
  const bool capped = cap.ok() && cap->has_value() && jit::above(jit::Isa::avx512, **cap);
  const bool zmm = !capped && features.missing_for(jit::Isa::avx512) == nullptr;
  switch (unit) {
    case Unit::fma_f32:
      return finish(VectorUnitLoop(unit, zmm), "peak_fma_f32");
    case Unit::vnni_int8:
      return finish(VectorUnitLoop(unit, true), "peak_vnni_int8");
    case Unit::amx_bf16:
      return finish(TileUnitLoop(unit), "peak_amx_bf16");
    case Unit::amx_int8:
      return finish(TileUnitLoop(unit), "peak_amx_int8");
  }
  return {Error::kBadArgument, "unknown unit"};
}

Result<ClockLoop> make_clock_loop() {
  Result<ExecutableCode> code = MultiplyChain().assemble("multiply_chain");
  if (!code.ok()) return code.failure();
  return ClockLoop{std::move(*code), kMultiplications * kMultiplyLatency};
}

Result<ExecutableCode> make_memory_loop(const MemoryLoopSpec& spec) {
  const jit::CpuFeatures& features = jit::host_features();
  if (const char* missing = features.missing_for(jit::Isa::avx2)) return {Error::kUnsupportedIsa, missing};
  const bool zmm = features.missing_for(jit::Isa::avx512) == nullptr;
  return MemoryLoop(spec, zmm).assemble(spec.copy ? "copy" : spec.store ? "store" : "read");
}

}  // namespace fourge::bench
