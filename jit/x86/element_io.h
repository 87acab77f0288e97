// f32 vectors from and to f32, bf16 and f16 in memory: what the AVX-512 generators share.
#pragma once

#include <cstdint>

#include "fourge/formats.h"
#include "jit/asm/x86_generator.h"

namespace fourge::jit {

/// A generator whose data are plain numbers. Emit the pool with emit_io_pool().
class ElementIoGenerator : public X86Generator {
 protected:
  using X86Generator::X86Generator;

  static int bytes_of(ElementFormat format) { return format == ElementFormat::f32 ? 4 : 2; }

  // dst <- 16 elements, exact. uops: f32 a load; bf16 load, p5, p0; f16 load, p5, p0.
  void load_as_f32(const Xbyak::Zmm& dst, const Xbyak::Address& from, ElementFormat format);
  // The same where only some lanes exist; the others are 0 and not touched in memory.
  void load_as_f32(const Xbyak::Zmm& dst, const Xbyak::Address& from, ElementFormat format,
                   const Xbyak::Opmask& lanes);

  // 16 elements <- src, to nearest even, beyond the largest value to infinity. src, t0, t1 and nan_lanes are
  // lost. uops on p05: f32 none; f16 one and p5; bf16 six and 3 p5.
  void store_from_f32(const Xbyak::Address& to, const Xbyak::Zmm& src, ElementFormat format,
                      const Xbyak::Zmm& t0, const Xbyak::Zmm& t1, const Xbyak::Opmask& nan_lanes);
  void store_from_f32(const Xbyak::Address& to, const Xbyak::Zmm& src, ElementFormat format,
                      const Xbyak::Zmm& t0, const Xbyak::Zmm& t1, const Xbyak::Opmask& nan_lanes,
                      const Xbyak::Opmask& lanes);

  // narrow <- 16 bf16.
  void round_to_bf16(const Xbyak::Ymm& narrow, const Xbyak::Zmm& src, const Xbyak::Zmm& t0,
                     const Xbyak::Zmm& t1, const Xbyak::Opmask& nan_lanes);

  void emit_io_pool();

 private:
  Xbyak::Label one_, half_ulp_;
};

}  // namespace fourge::jit
