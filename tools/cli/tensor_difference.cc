#include "tools/cli/tensor_difference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "quant/text.h"

namespace fourge::cli {
namespace {

using quant::DType;

bool is_signed_magnitude(DType dtype) {
  switch (dtype) {
    case DType::f4:
    case DType::f8_e5m2:
    case DType::f8_e4m3:
    case DType::f16:
    case DType::bf16:
    case DType::f32:
    case DType::f64:
      return true;
    default:
      return false;
  }
}

bool is_signed_integer(DType dtype) {
  return dtype == DType::i8 || dtype == DType::i16 || dtype == DType::i32 || dtype == DType::i64;
}

// The bits and values of one side.
class Elements {
 public:
  static Result<Elements> of(const FileTensor& tensor, bool as_f32) {
    Elements elements;
    const bool plain = tensor.dtype.has_value() && !as_f32;
    elements.dtype_ = plain ? *tensor.dtype : DType::f32;
    if (plain) elements.bytes_ = tensor.bytes;
    Result<std::vector<float>> values = values_of(tensor);
    if (values) {
      elements.values_ = std::move(*values);
    } else if (!plain || values.error() != Error::kUnsupportedFormat) {
      return values.failure();
    }
    return elements;
  }

  int width() const { return quant::info(dtype_).bits; }

  std::uint64_t bits(std::int64_t i) const {
    const auto at = static_cast<std::size_t>(i);
    if (bytes_.empty()) return std::bit_cast<std::uint32_t>(values_[at]);
    if (width() == 4) return i % 2 == 0 ? bytes_[at / 2] & 15u : unsigned{bytes_[at / 2]} >> 4;
    std::uint64_t bits = 0;
    const auto size = static_cast<std::size_t>(width() / 8);
    std::memcpy(&bits, bytes_.data() + at * size, size);
    return bits;
  }

  double value(std::int64_t i) const {
    const auto at = static_cast<std::size_t>(i);
    if (dtype_ == DType::f64 && !bytes_.empty()) return std::bit_cast<double>(bits(i));
    return values_.empty() ? 0.0 : double{values_[at]};
  }

  // Neighbouring values of the type have neighbouring numbers; both zeros have 0.
  std::int64_t order(std::uint64_t bits) const {
    const std::uint64_t sign = std::uint64_t{1} << (width() - 1);
    if (is_signed_magnitude(dtype_)) {
      const auto magnitude = static_cast<std::int64_t>(bits & (sign - 1));
      return (bits & sign) != 0 ? -magnitude : magnitude;
    }
    if (is_signed_integer(dtype_) && width() < 64 && (bits & sign) != 0)
      return static_cast<std::int64_t>(bits) - static_cast<std::int64_t>(sign << 1);
    return static_cast<std::int64_t>(bits);
  }

 private:
  DType dtype_ = DType::f32;
  std::span<const std::uint8_t> bytes_;  // empty: the values' own bits
  std::vector<float> values_;
};

std::uint64_t distance(std::int64_t a, std::int64_t b) {
  return a < b ? static_cast<std::uint64_t>(b) - static_cast<std::uint64_t>(a)
               : static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
}

// Bins 0, 1, 2, 3-4, 5-8, ..., by their upper end.
std::uint64_t bin_of(std::uint64_t ulp) {
  if (ulp <= 2 || ulp > std::uint64_t{1} << 63) return ulp <= 2 ? ulp : kNanDistance;
  return std::bit_ceil(ulp);
}

std::vector<UlpBin> bins_of(const std::map<std::uint64_t, std::int64_t>& counts) {
  std::vector<UlpBin> bins;
  for (const auto& [most, count] : counts) {
    const bool one_value = most <= 2 || most == kNanDistance;
    bins.push_back({one_value ? most : most / 2 + 1, most, count});
  }
  return bins;
}

}  // namespace

Result<Difference> difference_of(const FileTensor& a, const FileTensor& b) {
  if (a.shape != b.shape) {
    return {Error::kBadShape, "expected the same shape on both sides",
            quant::in_quotes(a.name) + " " + quant::shape_text(a.shape) + ", " + quant::shape_text(b.shape)};
  }
  const bool as_f32 = a.dtype != b.dtype;
  const Result<Elements> left = Elements::of(a, as_f32), right = Elements::of(b, as_f32);
  if (!left) return left.failure();
  if (!right) return right.failure();
  Difference difference;
  difference.elements = a.elements();
  std::map<std::uint64_t, std::int64_t> counts;
  double signal = 0, noise = 0;
  for (std::int64_t i = 0; i < difference.elements; ++i) {
    const double x = left->value(i), y = right->value(i);
    if (std::isfinite(x) && std::isfinite(y)) {
      signal += x * x;
      noise += (x - y) * (x - y);
    }
    const std::uint64_t x_bits = left->bits(i), y_bits = right->bits(i);
    if (x_bits == y_bits) continue;
    ++difference.differing;
    if (!difference.first.has_value())
      difference.first = ElementPair{i, x_bits, y_bits, left->width(), right->width(), x, y};
    std::uint64_t ulp = distance(left->order(x_bits), right->order(y_bits));
    if (std::isnan(x) || std::isnan(y)) ulp = std::isnan(x) && std::isnan(y) ? 0 : kNanDistance;
    difference.largest_ulp = std::max(difference.largest_ulp, ulp);
    ++counts[bin_of(ulp)];
  }
  difference.ulps = bins_of(counts);
  if (noise > 0) difference.sqnr_db = 10 * std::log10(signal / noise);
  return difference;
}

}  // namespace fourge::cli
