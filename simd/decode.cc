#include "simd/decode.h"

#include <cstring>

#include "fourge/formats.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/decode.cc"
#include "simd/foreach_target.h"  // after HWY_TARGET_INCLUDE

#if FOURGE_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Bytes16 = hn::CappedTag<std::uint8_t, 16>;

// The 16 codes of 8 bytes, in order.
HWY_INLINE hn::Vec<Bytes16> codes_of(const std::uint8_t* packed) {
  const Bytes16 d;
  std::uint64_t word;
  std::memcpy(&word, packed, sizeof word);
  const auto bytes = hn::BitCast(d, hn::Set(hn::Repartition<std::uint64_t, Bytes16>(), word));
  return hn::InterleaveLower(d, hn::And(bytes, hn::Set(d, std::uint8_t{15})), hn::ShiftRight<4>(bytes));
}

// A block under one row of the table: byte t of every output comes from byte t of the row's entries.
//   NEON   ld2 or ld4, a tbl for each t, st2 or st4
struct TwoBytes {
  static constexpr std::size_t kBytes = 2;
  template <int kBlock>
  static HWY_INLINE void block(const std::uint8_t* row, const std::uint8_t* packed, std::uint8_t* y) {
    const Bytes16 d;
    hn::Vec<Bytes16> t0, t1;
    hn::LoadInterleaved2(d, row, t0, t1);
    for (int i = 0; i < kBlock; i += 16) {
      const auto codes = codes_of(packed + i / 2);
      hn::StoreInterleaved2(hn::TableLookupBytes(t0, codes), hn::TableLookupBytes(t1, codes), d, y + 2 * i);
    }
  }
};
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
// Eight lanes hold the products of the codes without their sign: one permutation of words for 8 outputs.
struct FourBytes {
  static constexpr std::size_t kBytes = 4;
  template <int kBlock>
  static HWY_INLINE void block(const std::uint8_t* row, const std::uint8_t* packed, std::uint8_t* y) {
    const hn::CappedTag<float, 8> d;
    const hn::RebindToUnsigned<decltype(d)> du;
    const hn::RebindToSigned<decltype(d)> di;
    const auto products = hn::LoadU(d, reinterpret_cast<const float*>(row));
    for (int i = 0; i < kBlock; i += 8) {
      std::uint32_t word;
      std::memcpy(&word, packed + i / 2, sizeof word);
      const auto codes = hn::Shr(hn::Set(du, word), hn::ShiftLeft<2>(hn::Iota(du, 0)));
      const auto magnitude = hn::BitCast(di, hn::And(codes, hn::Set(du, 7u)));
      const auto product = hn::TableLookupLanes(products, hn::IndicesFromVec(d, magnitude));
      const auto sign = hn::And(hn::ShiftLeft<28>(codes), hn::Set(du, 0x8000'0000u));
      hn::StoreU(hn::Xor(product, hn::BitCast(d, sign)), d, reinterpret_cast<float*>(y) + i);
    }
  }
};
#else
struct FourBytes {
  static constexpr std::size_t kBytes = 4;
  template <int kBlock>
  static HWY_INLINE void block(const std::uint8_t* row, const std::uint8_t* packed, std::uint8_t* y) {
    const Bytes16 d;
    hn::Vec<Bytes16> t0, t1, t2, t3;
    hn::LoadInterleaved4(d, row, t0, t1, t2, t3);
    for (int i = 0; i < kBlock; i += 16) {
      const auto codes = codes_of(packed + i / 2);
      hn::StoreInterleaved4(hn::TableLookupBytes(t0, codes), hn::TableLookupBytes(t1, codes),
                            hn::TableLookupBytes(t2, codes), hn::TableLookupBytes(t3, codes), d, y + 4 * i);
    }
  }
};
#endif

template <class Output, int kBlock>
HWY_NOINLINE void blocks(const DecodeArgs& args, unsigned scale_mask) {
  constexpr std::size_t kRowBytes = 16 * Output::kBytes, kOutputBytes = kBlock * Output::kBytes;
  for (std::int64_t b = 0; b < args.blocks; ++b) {
    Output::template block<kBlock>(args.table + (args.scales[b] & scale_mask) * kRowBytes,
                                   args.codes + b * (kBlock / 2),
                                   args.y + static_cast<std::size_t>(b) * kOutputBytes);
  }
}

void decode_of_target(const DecodeSpec& spec, const DecodeArgs& args) {
  const unsigned scale_mask = info(spec.format).scale == ElementFormat::ue4m3 ? 0x7f : 0xff;
  const bool is_wide = info(spec.format).block == 32;
  if (spec.output == ElementFormat::f32) {
    is_wide ? blocks<FourBytes, 32>(args, scale_mask) : blocks<FourBytes, 16>(args, scale_mask);
  } else {
    is_wide ? blocks<TwoBytes, 32>(args, scale_mask) : blocks<TwoBytes, 16>(args, scale_mask);
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace fourge::simd {

DecodeFunction decode(Target target) {
  switch (target) {
#define FOURGE_TARGET(name, space) \
  case Target::name:               \
    return space::decode_of_target;
#include "simd/targets.inc"
    default:
      return nullptr;
  }
}

}  // namespace fourge::simd
#endif
