#include "reference/mma/model.h"

#include <algorithm>
#include <bit>

#include "reference/arithmetic.h"
#include "reference/conversions.h"

namespace fourge::reference {
namespace {

// e2m1 in a byte of its own: bits 5:2.
constexpr int kByteContainerShift = 2;

bool has_byte_container(ElementFormat format, int k, std::size_t bytes) {
  return format == ElementFormat::e2m1 && bytes == static_cast<std::size_t>(k) && k > 0;
}

// The kind of an fp4 model as a block format.
Format block_format(const MmaModel& model) {
  if (model.scale_format == ElementFormat::ue4m3) return Format::nvfp4;
  return model.scale_block == 32 ? Format::mxfp4 : Format::mxfp4_b16;
}

bool is_fp6_or_fp4(ElementFormat format) { return info(format).specials == Specials::none; }

// The same value with its leading one at fraction_bits.
Number normalised(Number x) {
  if (x.significand == 0) return x;
  const int shift = x.fraction_bits + 1 - static_cast<int>(std::bit_width(x.significand));
  x.significand <<= shift;
  x.exponent -= shift;
  return x;
}

Number decode_element(const MmaModel& model, ElementFormat format, std::uint32_t code,
                      const MmaPolicy& policy) {
  if (model.procedure == Procedure::fp8_through_f16) {
    return decode(ElementFormat::f16, widen(ElementFormat::f16, format, code));
  }
  const Number x = decode(format, code);
  const bool normalise = policy.narrow_subnormals == NarrowSubnormals::normalised && is_fp6_or_fp4(format);
  return normalise ? normalised(x) : x;
}

DotAddRules rules_of(const MmaModel& model, const MmaPolicy& policy) {
  DotAddRules rules = model.rules;
  rules.zeros = policy.zeros;
  return rules;
}

// mma.sync fp8 on sm_90 and sm_100: two f16 instructions on half of the products each, the first from c = +0,
// then an IEEE addition of c. SASS of nvcc 13.0; other toolkits may lower it differently. The rows were
// decoded in the order of the two instructions, so the chain of sums is theirs.
std::uint32_t fp8_through_f16(const MmaModel& model, const MmaRow& a, const MmaRow& b, std::uint32_t c,
                              DotAddRules rules, MmaTrace* trace) {
  rules.products_per_sum = products_per_sum(model, static_cast<int>(a.dot.elements.size()));
  const ElementFormat word = model.c_format();
  const std::uint32_t sum =
      mma_dot(a.dot, b.dot, 0, {.c_format = word}, rules, trace != nullptr ? &trace->sums : nullptr);
  if (trace != nullptr) trace->adds_c_last = true;
  return add(word, c, sum);
}

std::uint32_t block_scaled_fp4(const MmaModel& model, const MmaRow& a, const MmaRow& b, std::uint32_t c,
                               const MmaPolicy& policy, MmaTrace* trace) {
  Mxf4Rules rules = kMxf4Rules;
  rules.zero_groups_count = policy.zero_groups_count;
  DotAddTrace* entry = trace != nullptr ? &trace->sums.emplace_back() : nullptr;
  return mma_mxf4(block_format(model), a.fp4, b.fp4, c, rules, entry);
}

}  // namespace

Status check(const MmaModel& model, const MmaShape& shape) {
  const auto where = [&](const std::string& what) { return std::string(model.name) + ": " + what; };
  for (const ElementFormat format : {shape.a_format, shape.b_format}) {
    if (!model.formats.contains(format)) {
      std::string known;
      for (const ElementFormat candidate : kElementFormats) {
        if (model.formats.contains(candidate))
          known += std::string(known.empty() ? "" : ", ") + name_of(candidate);
      }
      return {Error::kUnsupportedFormat, "the model does not take this format of elements",
              where(std::string(name_of(format)) + ", not one of " + known)};
    }
  }
  if (shape.m < 1 || shape.n < 1 || shape.k < 1) {
    return {Error::kBadShape, "expected m, n and k of at least 1", where("m, n or k below 1")};
  }
  if (!model.takes_depth(shape.k)) {
    return {Error::kBadShape, "the model has no instruction of this depth",
            where("k = " + std::to_string(shape.k) + ", not " + std::to_string(model.depths[0]) +
                  (model.depths[1] != 0 ? " or " + std::to_string(model.depths[1]) : ""))};
  }
  const bool odd_fp4 =
      shape.k % 2 != 0 && (shape.a_format == ElementFormat::e2m1 || shape.b_format == ElementFormat::e2m1);
  if (odd_fp4) {
    return {Error::kBadShape, "expected an even k: two e2m1 elements share a byte",
            where("k = " + std::to_string(shape.k))};
  }
  return {};
}

int row_bytes(ElementFormat format, int k) {
  const int bits = info(format).storage_bits;
  return k * bits / 8;
}

bool takes_row_bytes(const MmaModel& model, ElementFormat format, int k, int bytes) {
  if (bytes == row_bytes(format, k)) return true;
  return model.procedure != Procedure::block_scaled_fp4 && format == ElementFormat::e2m1 && bytes == k;
}

std::uint32_t element_code(ElementFormat format, int k, std::span<const std::uint8_t> row, int i) {
  const auto at = [&](int index) { return std::uint32_t{row[static_cast<std::size_t>(index)]}; };
  if (has_byte_container(format, k, row.size())) return at(i) >> kByteContainerShift & 15u;
  switch (info(format).storage_bits) {
    case 4:
      return at(i / 2) >> i % 2 * 4 & 15u;
    case 8:
      return at(i);
    case 16:
      return at(2 * i) | at(2 * i + 1) << 8;
    default:
      return at(4 * i) | at(4 * i + 1) << 8 | at(4 * i + 2) << 16 | at(4 * i + 3) << 24;
  }
}

int products_per_sum(const MmaModel& model, int k) {
  return std::min(model.rules.products_per_sum, model.procedure == Procedure::fp8_through_f16 ? k / 2 : k);
}

int element_of_position(const MmaModel& model, int k, int position) {
  if (model.procedure != Procedure::fp8_through_f16) return position;
  // The first instruction takes elements 0, 1, 4, 5, 8, 9, ..., the second 2, 3, 6, 7, ...
  const int half = position / (k / 2), pair = position % (k / 2) / 2;
  return 4 * pair + 2 * half + position % 2;
}

MmaRow decode_row(const MmaModel& model, ElementFormat format, int k, std::span<const std::uint8_t> row,
                  std::span<const std::uint8_t> scales, const MmaPolicy& policy) {
  MmaRow decoded;
  if (model.procedure == Procedure::block_scaled_fp4) {
    decoded.fp4 = decode_mxf4(block_format(model), row.first<kMxf4Depth / 2>(), scales);
    return decoded;
  }
  decoded.dot.elements.reserve(static_cast<std::size_t>(k));
  for (int position = 0; position < k; ++position) {
    const std::uint32_t code = element_code(format, k, row, element_of_position(model, k, position));
    decoded.dot.elements.push_back(decode_element(model, format, code, policy));
  }
  for (const std::uint8_t scale : scales) decoded.dot.scales.push_back(decode(model.scale_format, scale));
  return decoded;
}

std::uint32_t mma(const MmaModel& model, const MmaRow& a, const MmaRow& b, std::uint32_t c,
                  const MmaPolicy& policy, MmaTrace* trace) {
  std::uint32_t result = 0;
  switch (model.procedure) {
    case Procedure::dot:
      result = mma_dot(a.dot, b.dot, c, {.block = model.scale_block, .c_format = model.c_format()},
                       rules_of(model, policy), trace != nullptr ? &trace->sums : nullptr);
      break;
    case Procedure::fp8_through_f16:
      result = fp8_through_f16(model, a, b, c, rules_of(model, policy), trace);
      break;
    case Procedure::block_scaled_fp4:
      result = block_scaled_fp4(model, a, b, c, policy, trace);
      break;
  }
  if (trace != nullptr) trace->result = result;
  return result;
}

}  // namespace fourge::reference
