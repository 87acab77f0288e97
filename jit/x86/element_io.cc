#include "jit/x86/element_io.h"

namespace fourge::jit {

using Xbyak::Address;
using Xbyak::Opmask;
using Xbyak::Ymm;
using Xbyak::Zmm;

void ElementIoGenerator::load_as_f32(const Zmm& dst, const Address& from, ElementFormat format) {
  switch (format) {
    case ElementFormat::bf16:
      vpmovzxwd(dst, from);
      vpslld(dst, dst, 16);
      break;
    case ElementFormat::f16:
      vcvtph2ps(dst, from);
      break;
    default:
      vmovups(dst, from);
  }
}

void ElementIoGenerator::load_as_f32(const Zmm& dst, const Address& from, ElementFormat format,
                                     const Opmask& lanes) {
  switch (format) {
    case ElementFormat::bf16:
      vpmovzxwd(dst | lanes | T_z, from);
      vpslld(dst, dst, 16);
      break;
    case ElementFormat::f16:
      vcvtph2ps(dst | lanes | T_z, from);
      break;
    default:
      vmovups(dst | lanes | T_z, from);
  }
}

void ElementIoGenerator::store_from_f32(const Address& to, const Zmm& src, ElementFormat format,
                                        const Zmm& t0, const Zmm& t1, const Opmask& nan_lanes) {
  const Ymm narrow(t0.getIdx());
  switch (format) {
    case ElementFormat::bf16:
      round_to_bf16(narrow, src, t0, t1, nan_lanes);
      vmovdqu16(to, narrow);
      break;
    case ElementFormat::f16:
      vcvtps2ph(narrow, src, 0);
      vmovdqu16(to, narrow);
      break;
    default:
      vmovups(to, src);
  }
}

void ElementIoGenerator::store_from_f32(const Address& to, const Zmm& src, ElementFormat format,
                                        const Zmm& t0, const Zmm& t1, const Opmask& nan_lanes,
                                        const Opmask& lanes) {
  const Ymm narrow(t0.getIdx());
  switch (format) {
    case ElementFormat::bf16:
      round_to_bf16(narrow, src, t0, t1, nan_lanes);
      vmovdqu16(to | lanes, narrow);
      break;
    case ElementFormat::f16:
      vcvtps2ph(narrow, src, 0);
      vmovdqu16(to | lanes, narrow);
      break;
    default:
      vmovups(to | lanes, src);
  }
}

// bits + 0x7fff + lsb, then the upper half: RNE with carry into the exponent. A NaN of all ones would wrap:
// NaN lanes are cut instead; arithmetic leaves only quiet ones, whose first fraction bit survives.
void ElementIoGenerator::round_to_bf16(const Ymm& narrow, const Zmm& src, const Zmm& t0, const Zmm& t1,
                                       const Opmask& nan_lanes) {
  vcmpps(nan_lanes, src, src, 3);  // unordered
  vpsrld(t0, src, 16);
  vpandd(t1, t0, pool_word(one_));
  vpaddd(t1, t1, src);
  vpaddd(t1, t1, pool_word(half_ulp_));
  vpsrld(t1, t1, 16);
  vmovdqa32(t1 | nan_lanes, t0);
  vpmovdw(narrow, t1);
}

void ElementIoGenerator::emit_io_pool() {
  align(4);
  L(one_);
  dd(1);
  L(half_ulp_);
  dd(0x7fff);
}

}  // namespace fourge::jit
