#include "tools/vectors/explain.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/vectors/hex.h"

namespace fourge::vectors {
namespace {

using reference::DotAddTrace;
using reference::MmaPolicy;
using reference::MmaTrace;
using reference::Procedure;
using reference::Term;

// "1.5", and "nan" or "-inf" where it is none.
std::string value_text(const Number& x) {
  if (x.kind == NumberKind::nan) return "nan";
  const double sign = x.negative ? -1 : 1;
  if (x.kind == NumberKind::infinity) return x.negative ? "-inf" : "inf";
  return fmt::format("{:.9g}", sign * std::ldexp(double(x.significand), x.exponent - x.fraction_bits));
}

std::string word_value(const OutputOperands& operands, std::uint32_t word) {
  return value_text(decode(operands.model.c_format(), word));
}

// significand * 2^exponent with an odd significand.
std::string power_text(std::int64_t significand, int exponent) {
  if (significand == 0) return "0";
  while (significand % 2 == 0) {
    significand /= 2;
    ++exponent;
  }
  return fmt::format("{} * 2^{}", significand, exponent);
}

// One line of a sum.
struct TermLine {
  std::string name;      // "group 2", "k 17", "c"
  std::string operands;  // codes of a and b
  Term term;
  std::int64_t kept = 0;  // units of the sum
};

// A code with the digits of its format: "3c00", "7", "1f".
std::string code_text(ElementFormat format, std::uint32_t code) {
  return fmt::format("{:0{}x}", code, info(format).storage_bits / 4);
}

std::string element_operands(const OutputOperands& x, int k) {
  return code_text(x.a_format, reference::element_code(x.a_format, x.k, x.a, k)) + " * " +
         code_text(x.b_format, reference::element_code(x.b_format, x.k, x.b, k));
}

// `position` counts the products of all sums before this one.
std::vector<TermLine> lines_of(const OutputOperands& x, const DotAddTrace& sum, int position) {
  std::vector<TermLine> lines;
  for (std::size_t i = 0; i < sum.terms.size(); ++i) {
    TermLine line;
    line.term = sum.terms[i];
    line.kept = reference::align_and_truncate(line.term, sum.largest_exponent, sum.fraction_bits);
    const int index = position + static_cast<int>(i);
    if (i + 1 == sum.terms.size()) {
      line.name = "c";
      line.operands = word_text(x.model, sum.c);
    } else if (x.model.procedure == Procedure::block_scaled_fp4) {
      line.name = fmt::format("group {}", index);
      const std::size_t scale = i * reference::kMxf4Group / static_cast<std::size_t>(x.model.scale_block);
      line.operands = fmt::format("{:02x} * {:02x}", x.a_scales[scale], x.b_scales[scale]);
    } else {
      const int k = reference::element_of_position(x.model, x.k, index);
      line.name = fmt::format("k {}", k);
      line.operands = element_operands(x, k);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

int products_of(const DotAddTrace& sum) {
  return sum.terms.empty() ? 0 : static_cast<int>(sum.terms.size()) - 1;
}

// Products of each sum, also of one that a special value decided.
int products_of(const OutputOperands& x, const DotAddTrace& sum) {
  return sum.terms.empty() ? reference::products_per_sum(x.model, x.k) : products_of(sum);
}

std::string sum_text(const OutputOperands& x, const DotAddTrace& sum, int position) {
  if (sum.terms.empty()) {
    return fmt::format("  c = {}; decided without a sum: {}\n  result {} = {}\n", word_text(x.model, sum.c),
                       sum.note, word_text(x.model, sum.result), word_value(x, sum.result));
  }
  const int unit = sum.largest_exponent - sum.fraction_bits;
  std::string text =
      fmt::format("  Emax {}, F {}: one unit is 2^{}\n", sum.largest_exponent, sum.fraction_bits, unit);
  text += fmt::format("  {:<9} {:<14} {:>24} {:>6} {:>18}\n", "term",
                      x.model.procedure == Procedure::block_scaled_fp4 ? "scales" : "a * b", "exact value",
                      "E", "truncated (units)");
  int zeros = 0;
  for (const TermLine& line : lines_of(x, sum, position)) {
    if (line.term.significand == 0 && !line.term.counts) {
      ++zeros;
      continue;
    }
    const int lsb = line.term.exponent - line.term.fraction_bits;
    const bool cut = power_text(line.kept, unit) != power_text(line.term.significand, lsb);
    text +=
        fmt::format("  {:<9} {:<14} {:>24} {:>6} {:>18}{}{}\n", line.name, line.operands,
                    power_text(line.term.significand, lsb), line.term.exponent, line.kept, cut ? " cut" : "",
                    line.term.exponent == sum.largest_exponent && line.term.counts ? " <- Emax" : "");
  }
  if (zeros != 0) text += fmt::format("  {} zero terms take no part\n", zeros);
  text += fmt::format("  sum {} units = {}\n", sum.sum, power_text(sum.sum, unit));
  return text + fmt::format("  rounded {} to {}: {} = {}\n",
                            x.model.rules.rounding == Rounding::rz ? "toward zero" : "to nearest even",
                            x.model.rules.output.name, word_text(x.model, sum.result),
                            word_value(x, sum.result));
}

}  // namespace

std::string word_text(const reference::MmaModel& model, std::uint32_t word) {
  return model.rules.output.storage_bits == 16 ? fmt::format("{:04x}", word) : fmt::format("{:08x}", word);
}

std::uint32_t compute(const OutputOperands& x, const MmaPolicy& policy, MmaTrace* trace) {
  const reference::MmaRow a = decode_row(x.model, x.a_format, x.k, x.a, x.a_scales, policy);
  const reference::MmaRow b = decode_row(x.model, x.b_format, x.k, x.b, x.b_scales, policy);
  return reference::mma(x.model, a, b, x.c, policy, trace);
}

std::string explain_text(const OutputOperands& x, const MmaPolicy& policy) {
  MmaTrace trace;
  const std::uint32_t result = compute(x, policy, &trace);
  std::string text =
      fmt::format("model {}, k {}, zero rule {}\n", x.model_name, x.k,
                  x.model.procedure == Procedure::block_scaled_fp4 ? "scales" : name_of(policy.zeros));
  text += fmt::format("a {} {}\nb {} {}\n", name_of(x.a_format), hex(x.a), name_of(x.b_format), hex(x.b));
  if (!x.a_scales.empty()) {
    text +=
        fmt::format("scales {} a {} b {}\n", name_of(x.model.scale_format), hex(x.a_scales), hex(x.b_scales));
  }
  text += fmt::format("c {} = {}\n", word_text(x.model, x.c), word_value(x, x.c));
  int position = 0;
  for (std::size_t i = 0; i < trace.sums.size(); ++i) {
    text += fmt::format("sum {} of {}\n", i + 1, trace.sums.size()) + sum_text(x, trace.sums[i], position);
    position += products_of(x, trace.sums[i]);
  }
  if (trace.adds_c_last) {
    text += fmt::format("c + {} to nearest even: {}\n", word_text(x.model, trace.sums.back().result),
                        word_text(x.model, result));
  }
  text += fmt::format("result {} = {}\n", word_text(x.model, result), word_value(x, result));
  if (x.given) {
    text += fmt::format("file   {} = {}{}\n", word_text(x.model, *x.given), word_value(x, *x.given),
                        *x.given == result ? "" : "   MISMATCH");
  }
  return text;
}

nlohmann::ordered_json explain_json(const OutputOperands& x, const MmaPolicy& policy) {
  using Json = nlohmann::ordered_json;
  MmaTrace trace;
  const std::uint32_t result = compute(x, policy, &trace);
  Json json = {{"model", x.model_name},
               {"k", x.k},
               {"zero_rule", name_of(policy.zeros)},
               {"a_format", name_of(x.a_format)},
               {"b_format", name_of(x.b_format)},
               {"a", hex(x.a)},
               {"b", hex(x.b)}};
  if (!x.a_scales.empty()) {
    json["a_scales"] = hex(x.a_scales);
    json["b_scales"] = hex(x.b_scales);
  }
  json["c"] = word_text(x.model, x.c);
  json["sums"] = Json::array();
  int position = 0;
  for (const DotAddTrace& sum : trace.sums) {
    Json entry = {{"c", word_text(x.model, sum.c)}, {"result", word_text(x.model, sum.result)}};
    if (sum.terms.empty()) {
      entry["special"] = sum.note;
    } else {
      entry["emax"] = sum.largest_exponent;
      entry["unit"] = fmt::format("2^{}", sum.largest_exponent - sum.fraction_bits);
      entry["sum"] = sum.sum;
      for (const TermLine& line : lines_of(x, sum, position)) {
        entry["terms"].push_back({{"term", line.name},
                                  {"operands", line.operands},
                                  {"significand", line.term.significand},
                                  {"exponent", line.term.exponent},
                                  {"fraction_bits", line.term.fraction_bits},
                                  {"counts", line.term.counts},
                                  {"truncated", line.kept}});
      }
    }
    json["sums"].push_back(std::move(entry));
    position += products_of(x, sum);
  }
  json["adds_c_last"] = trace.adds_c_last;
  json["result"] = word_text(x.model, result);
  if (x.given) json["given"] = word_text(x.model, *x.given);
  return json;
}

}  // namespace fourge::vectors
