#include "simd/hadamard.h"

#include <algorithm>
#include <cstring>

#include "fourge/hadamard_matrix.h"
#include "simd/rounding_mode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/hadamard.cc"
#include "simd/foreach_target.h"  // after HWY_TARGET_INCLUDE

#if FOURGE_SIMD_TARGET
#include "simd/element_io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

using Lanes16 = hn::CappedTag<float, 16>;
using Vector = hn::Vec<Lanes16>;

HWY_INLINE std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(Lanes16())); }

// +1 in lanes whose bit `stage` is 0, else -1.
struct PlusMinus {
  alignas(64) float of_stage[4][16];
};
constexpr PlusMinus make_plus_minus() {
  PlusMinus table{};
  for (int stage = 0; stage < 4; ++stage) {
    for (int lane = 0; lane < 16; ++lane)
      table.of_stage[stage][lane] = (lane >> stage & 1) != 0 ? -1.0f : 1.0f;
  }
  return table;
}
inline constexpr PlusMinus kPlusMinus = make_plus_minus();

// Lane i <- lane i ^ (1 << stage).
HWY_INLINE Vector swap_lanes(Vector v, int stage) {
  const Lanes16 d;
  if (std::int64_t{2} << stage == lanes()) return hn::ConcatLowerUpper(d, v, v);
  if (stage == 0) return hn::Reverse2(d, v);
  if (stage == 1) return hn::Shuffle1032(v);
  return hn::SwapAdjacentBlocks(v);
}

// (a, b) -> (a + b, a - b) for lanes that differ in bit `stage`. The product with +-1 is exact.
HWY_INLINE Vector lane_stage(Vector v, int stage) {
  const Lanes16 d;
  return hn::MulAdd(v, hn::Load(d, kPlusMinus.of_stage[stage]), swap_lanes(v, stage));
}
HWY_INLINE Vector lane_stages(Vector v, std::int64_t order) {
  for (int stage = 0; std::int64_t{2} << stage <= std::min(order, lanes()); ++stage) v = lane_stage(v, stage);
  return v;
}

HWY_INLINE void butterfly(Vector& a, Vector& b) {
  const Vector difference = hn::Sub(a, b);
  a = hn::Add(a, b);
  b = difference;
}

// Loads vectors 0..kRadix-1, log2(kRadix) stages across them, stores them. Written out: vectors of a length
// that is not known at compile time cannot stand in an array.
template <int kRadix, class Load, class Store>
HWY_INLINE void across(const Load& load, const Store& store) {
  if constexpr (kRadix == 1) {
    store(0, load(0));
  } else if constexpr (kRadix == 2) {
    Vector v0 = load(0), v1 = load(1);
    butterfly(v0, v1);
    store(0, v0), store(1, v1);
  } else if constexpr (kRadix == 4) {
    Vector v0 = load(0), v1 = load(1), v2 = load(2), v3 = load(3);
    butterfly(v0, v1), butterfly(v2, v3);
    butterfly(v0, v2), butterfly(v1, v3);
    store(0, v0), store(1, v1), store(2, v2), store(3, v3);
  } else {
    Vector v0 = load(0), v1 = load(1), v2 = load(2), v3 = load(3);
    Vector v4 = load(4), v5 = load(5), v6 = load(6), v7 = load(7);
    butterfly(v0, v1), butterfly(v2, v3), butterfly(v4, v5), butterfly(v6, v7);
    butterfly(v0, v2), butterfly(v1, v3), butterfly(v4, v6), butterfly(v5, v7);
    butterfly(v0, v4), butterfly(v1, v5), butterfly(v2, v6), butterfly(v3, v7);
    store(0, v0), store(1, v1), store(2, v2), store(3, v3);
    store(4, v4), store(5, v5), store(6, v6), store(7, v7);
  }
}
constexpr std::int64_t kMaxRadix = 8;

// Where a pass writes: f32 for the next pass, or the output, scaled and rounded.
struct ToWork {
  float* work;
  HWY_INLINE void operator()(std::int64_t element, Vector v) const {
    hn::StoreU(v, Lanes16(), work + element);
  }
};
template <ElementFormat kFormat>
struct ToOutput {
  void* y;
  const float* scale;  // null: none
  HWY_INLINE void operator()(std::int64_t element, Vector v) const {
    const Lanes16 d;
    if (scale != nullptr) v = hn::Mul(v, hn::Set(d, *scale));
    store_from_f32<kFormat>(d, v, y, element);
  }
};

// Input elements with their signs, after the stages inside a vector.
template <ElementFormat kFormat>
struct FromInput {
  const void* x;
  const std::uint32_t* signs;  // null: none
  std::int64_t order;
  HWY_INLINE Vector operator()(std::int64_t element) const {
    const Lanes16 d;
    Vector v = load_as_f32<kFormat>(d, x, element);
    if (signs != nullptr)
      v = hn::Xor(v, hn::BitCast(d, hn::LoadU(hn::RebindToUnsigned<Lanes16>(), signs + element)));
    return lane_stages(v, order);
  }
};

template <int kRadix, class From, class To>
HWY_INLINE void chunks(const From& from, const To& to, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = lanes();
  for (std::int64_t chunk = begin; chunk < end; chunk += kRadix * n) {
    across<kRadix>([&](int j) HWY_ATTR { return from(chunk + j * n); },
                   [&](int j, Vector v) HWY_ATTR { to(chunk + j * n, v); });
  }
}

// The first pass: the stages inside up to kMaxRadix vectors in a row. Returns how many elements that covers.
template <class From, class To>
HWY_INLINE std::int64_t chunk_pass(const From& from, const To& to, std::int64_t begin, std::int64_t power) {
  const std::int64_t radix = std::min(power / lanes(), kMaxRadix), end = begin + power;
  if (radix == 8) chunks<8>(from, to, begin, end);
  if (radix == 4) chunks<4>(from, to, begin, end);
  if (radix == 2) chunks<2>(from, to, begin, end);
  if (radix == 1) chunks<1>(from, to, begin, end);
  return radix * lanes();
}

template <int kRadix, class To>
HWY_INLINE void strides(const float* work, const To& to, std::int64_t begin, std::int64_t power,
                        std::int64_t distance) {
  const Lanes16 d;
  for (std::int64_t group = begin; group < begin + power; group += kRadix * distance) {
    for (std::int64_t i = group; i < group + distance; i += lanes()) {
      across<kRadix>([&](int j) HWY_ATTR { return hn::LoadU(d, work + i + j * distance); },
                     [&](int j, Vector v) HWY_ATTR { to(i + j * distance, v); });
    }
  }
}

// Up to three stages across vectors `distance` elements apart. Returns the next distance.
template <class To>
HWY_NOINLINE std::int64_t vertical_pass(const float* work, const To& to, std::int64_t begin,
                                        std::int64_t power, std::int64_t distance) {
  const std::int64_t radix = std::min(power / distance, kMaxRadix);
  if (radix == 8) strides<8>(work, to, begin, power, distance);
  if (radix == 4) strides<4>(work, to, begin, power, distance);
  if (radix == 2) strides<2>(work, to, begin, power, distance);
  return radix * distance;
}

// One run of `power` elements, at least a vector.
template <class From, class To>
HWY_NOINLINE void rotate_run(const From& from, const To& to, float* work, std::int64_t begin,
                             std::int64_t power) {
  if (power <= kMaxRadix * lanes()) {
    chunk_pass(from, to, begin, power);
    return;
  }
  std::int64_t distance = chunk_pass(from, ToWork{work}, begin, power);
  while (distance * kMaxRadix < power) distance = vertical_pass(work, ToWork{work}, begin, power, distance);
  vertical_pass(work, to, begin, power, distance);
}

// Across the runs: the eight sums (x0 +- x1) +- (x2 +- x3) of every four columns, then every row's signed sum
// of them. Bit 0 of an index: minus x1, bit 1: minus x3, bit 2: minus the second pair.
struct Fours {
  alignas(64) float of[kLargestPaleyOrder / 4][8][16];
};

HWY_INLINE void four_columns(const float* x, std::int64_t power, float (*sums)[16]) {
  const Lanes16 d;
  const Vector x0 = hn::LoadU(d, x), x1 = hn::LoadU(d, x + power);
  const Vector x2 = hn::LoadU(d, x + 2 * power), x3 = hn::LoadU(d, x + 3 * power);
  const Vector low0 = hn::Add(x0, x1), low1 = hn::Sub(x0, x1), high0 = hn::Add(x2, x3),
               high1 = hn::Sub(x2, x3);
  hn::Store(hn::Add(low0, high0), d, sums[0]);
  hn::Store(hn::Add(low1, high0), d, sums[1]);
  hn::Store(hn::Add(low0, high1), d, sums[2]);
  hn::Store(hn::Add(low1, high1), d, sums[3]);
  hn::Store(hn::Sub(low0, high0), d, sums[4]);
  hn::Store(hn::Sub(low1, high0), d, sums[5]);
  hn::Store(hn::Sub(low0, high1), d, sums[6]);
  hn::Store(hn::Sub(low1, high1), d, sums[7]);
}

HWY_INLINE Vector paley_row(const PaleyMatrix& h, int row, const Fours& fours) {
  const Lanes16 d;
  Vector sum = hn::Zero(d);
  for (int j = 0; j < h.order(); j += 4) {
    const int s0 = h(row, j), s1 = s0 * h(row, j + 1), s2 = s0 * h(row, j + 2), s3 = s0 * h(row, j + 3);
    const int index = (s1 < 0 ? 1 : 0) + (s2 * s3 < 0 ? 2 : 0) + (s2 < 0 ? 4 : 0);
    const Vector four = hn::Load(d, fours.of[j / 4][index]);
    sum = j == 0 ? four : s0 > 0 ? hn::Add(sum, four) : hn::Sub(sum, four);
  }
  return sum;
}

template <class To>
HWY_NOINLINE void paley_pass(const PaleyMatrix& h, const float* work, const To& to, std::int64_t power) {
  Fours fours;
  for (std::int64_t e = 0; e < power; e += lanes()) {
    for (int j = 0; j < h.order(); j += 4) four_columns(work + j * power + e, power, fours.of[j / 4]);
    for (int row = 0; row < h.order(); ++row) to(row * power + e, paley_row(h, row, fours));
  }
}

// Orders below a vector: blocks without gaps are one long row of them, whose last vector is short.
template <ElementFormat kInput, ElementFormat kOutput>
void short_orders(const HadamardSpec& spec, const HadamardArgs& args, const float* scale) {
  const std::int64_t n = lanes(), elements = args.count * spec.order;
  const auto* x = static_cast<const std::uint8_t*>(args.x);
  auto* y = static_cast<std::uint8_t*>(args.y);
  for (std::int64_t i = 0; i < elements; i += n) {
    const FromInput<kInput> from{x + i * element_bytes(kInput), spec.signs ? args.sign_words : nullptr,
                                 spec.order};
    const ToOutput<kOutput> to{y + i * element_bytes(kOutput), scale};
    if (i + n <= elements) {
      to(0, from(0));
      continue;
    }
    const auto left = static_cast<std::size_t>(elements - i);
    alignas(64) std::uint8_t in[64] = {}, out[64];
    std::memcpy(in, from.x, left * static_cast<std::size_t>(element_bytes(kInput)));
    ToOutput<kOutput>{out, scale}(0, FromInput<kInput>{in, from.signs, spec.order}(0));
    std::memcpy(to.y, out, left * static_cast<std::size_t>(element_bytes(kOutput)));
  }
}

template <ElementFormat kInput, ElementFormat kOutput>
HWY_NOINLINE void rotate(const HadamardSpec& spec, const HadamardArgs& args) {
  const float* scale = spec.scaled ? &args.scale : nullptr;
  const HadamardFactors factors = hadamard_factors(spec.order);
  if (factors.power < lanes()) {
    short_orders<kInput, kOutput>(spec, args, scale);
    return;
  }
  const PaleyMatrix h(static_cast<int>(factors.paley > 1 ? factors.paley : kPaleyOrders[0]));
  for (std::int64_t block = 0; block < args.count; ++block) {
    const FromInput<kInput> from{static_cast<const std::uint8_t*>(args.x) + block * args.x_step,
                                 spec.signs ? args.sign_words : nullptr, spec.order};
    const ToOutput<kOutput> to{static_cast<std::uint8_t*>(args.y) + block * args.y_step, scale};
    if (factors.paley == 1) {
      rotate_run(from, to, args.work, 0, factors.power);
      continue;
    }
    for (std::int64_t run = 0; run < spec.order; run += factors.power)
      rotate_run(from, ToWork{args.work}, args.work, run, factors.power);
    paley_pass(h, args.work, to, factors.power);
  }
}

template <ElementFormat kInput>
void of_output(const HadamardSpec& spec, const HadamardArgs& args) {
  switch (spec.output) {
    case ElementFormat::bf16:
      return rotate<kInput, ElementFormat::bf16>(spec, args);
    case ElementFormat::f16:
      return rotate<kInput, ElementFormat::f16>(spec, args);
    default:
      return rotate<kInput, ElementFormat::f32>(spec, args);
  }
}

void hadamard_of_target(const HadamardSpec& spec, const HadamardArgs& args) {
  const RoundingMode mode(RoundingMode::to_nearest);
  switch (spec.input) {
    case ElementFormat::bf16:
      return of_output<ElementFormat::bf16>(spec, args);
    case ElementFormat::f16:
      return of_output<ElementFormat::f16>(spec, args);
    default:
      return of_output<ElementFormat::f32>(spec, args);
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace fourge::simd {

const char* hadamard_refusal(const HadamardSpec& spec) {
  const HadamardFactors factors = hadamard_factors(spec.order);
  if (factors.paley > 1 && factors.power < 16) return "runs of a Paley order shorter than a vector of 16";
  return nullptr;
}

HadamardFunction hadamard(Target target) {
  switch (target) {
#define FOURGE_TARGET(name, space) \
  case Target::name:               \
    return space::hadamard_of_target;
#include "simd/targets.inc"
    default:
      return nullptr;
  }
}

}  // namespace fourge::simd
#endif
