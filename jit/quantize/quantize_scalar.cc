#include "jit/quantize/quantize_scalar.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>

#include "fourge/quest.h"
#include "fourge/rounding.h"
#include "fourge/stochastic.h"
#include "jit/element_io.h"
#include "jit/quantize/scale_search.h"
#include "jit/quantize/strips.h"

namespace fourge::jit {
namespace {

constexpr float kFloatMax = std::numeric_limits<float>::max();
constexpr int kWidest = 32;

constexpr std::array<float, 16> kE2m1Values = [] {
  std::array<float, 16> values{};
  for (std::uint32_t code = 0; code < values.size(); ++code)
    values[code] = decode_f32(ElementFormat::e2m1, code);
  return values;
}();

// |x| rounds above magnitude code i when its bits exceed entry i: ties go to the even code.
constexpr std::array<std::uint32_t, 7> kE2m1Boundaries = [] {
  std::array<std::uint32_t, 7> boundaries{};
  for (std::uint32_t code = 0; code < boundaries.size(); ++code) {
    const float midpoint = (kE2m1Values[code] + kE2m1Values[code + 1]) / 2;
    boundaries[code] = std::bit_cast<std::uint32_t>(midpoint) - code % 2;
  }
  return boundaries;
}();

std::uint8_t e2m1_nearest(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7fff'ffffu;
  std::uint32_t code = magnitude > 0x7f80'0000u ? 0 : bits >> 31 << 3;
  for (const std::uint32_t boundary : kE2m1Boundaries) code += magnitude > boundary ? 1 : 0;
  return static_cast<std::uint8_t>(code);
}

// The rows of a group as f32, rotated.
class Group {
 public:
  Group(const QuantizerSpec& spec, const StripArgs& args, std::int64_t group)
      : rows_(static_cast<int>(args.rows)) {
    const auto* x = static_cast<const std::uint8_t*>(args.x) + group * kGroup * plain_bytes(spec.input);
    for (int r = 0; r < rows_; ++r) {
      load_elements(spec.input, x + r * args.x_stride, kGroup, row(r));
      if (spec.rotate != 0) rotate(spec, args, row(r));
    }
  }
  int rows() const { return rows_; }
  float* row(int r) { return values_.data() + r * kGroup; }
  const float* row(int r) const { return values_.data() + r * kGroup; }

  static void rotate(const QuantizerSpec& spec, const StripArgs& args, float* row) {
    rotate(spec, args.sign_words, args.rotation_scale, row);
  }
  static void rotate(const QuantizerSpec& spec, const std::uint32_t* sign_words, float scale, float* row) {
    for (int i = 0; spec.signs && i < kGroup; ++i)
      row[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(row[i]) ^ sign_words[sign_word_index(i)]);
    for (std::int64_t half = 1; half < spec.rotate; half *= 2) {
      for (std::int64_t first = 0; first < kGroup; first += 2 * half) {
        for (std::int64_t i = first; i < first + half; ++i) {
          const float a = row[i], b = row[i + half];
          row[i] = a + b;
          row[i + half] = a - b;
        }
      }
    }
    for (int i = 0; i < kGroup; ++i) row[i] *= scale;
  }

 private:
  int rows_;
  std::array<float, kWidest * kGroup> values_;
};

// A block rounded with one choice of scale.
struct Candidate {
  std::uint8_t scale_code = 0;
  float scale = 0.0f;
  std::array<std::uint8_t, kWidest * kWidest> codes{};
};

class BlockQuantizer {
 public:
  BlockQuantizer(const QuantizerSpec& spec, const StripArgs& args, const Group& group, std::int64_t number,
                 int block)
      : spec_(spec),
        args_(args),
        group_(group),
        width_(info(spec.quantize.format).block),
        first_(block * width_),
        first_run_(args.first_run + static_cast<std::uint64_t>((number * kGroup + first_) / 16)) {}

  std::uint8_t run(Candidate& chosen) {
    if (spec_.quantize.rule == ScaleRule::sweep) {
      is_nvfp4() ? sweep<Ue4m3Scales>(args_.encode, 0, chosen) : sweep<PowerOfTwoScales>(1.0f, 127, chosen);
      return chosen.scale_code;
    }
    if (!is_nvfp4()) {
      mx(chosen);
      return chosen.scale_code;
    }
    const float target = nvfp4_target();
    nvfp4(target, chosen);
    if (is_four_over_six(spec_.quantize.rule)) {
      Candidate four;
      nvfp4(target * 1.5f, four);
      if (error(four) < error(chosen)) chosen = four;
    }
    return chosen.scale_code;
  }

 private:
  float amax() const {
    std::uint32_t largest = 0;
    for (int r = 0; r < group_.rows(); ++r) {
      for (int i = 0; i < width_; ++i) {
        const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(at(r, i)) & 0x7fff'ffffu;
        if (magnitude <= 0x7f80'0000u) largest = std::max(largest, magnitude);
      }
    }
    return std::bit_cast<float>(largest);
  }

  bool is_nvfp4() const { return spec_.quantize.format == Format::nvfp4; }
  // The block of a rule that takes one row only.
  std::span<const float> values() const { return {&group_.row(0)[first_], static_cast<std::size_t>(width_)}; }

  float nvfp4_target() const {
    switch (spec_.quantize.rule) {
      case ScaleRule::quest:
        return quest_scale(values().data(), width_);
      case ScaleRule::search:
        return searched_scale(values(), amax()) * args_.encode;
      default:
        return (amax() / largest_code(spec_.quantize.rule)) * args_.encode;
    }
  }

  // bias: from the number of a scale to its code.
  template <class Scales>
  void sweep(float encode, int bias, Candidate& out) const {
    const float largest = largest_encoded(values(), encode);
    if (largest == 0.0f) return;
    const int best = swept_scale<Scales>(values(), encode, largest);
    out.scale_code = static_cast<std::uint8_t>(best + bias);
    round_all(encode * Scales::inverse(std::max(best, Scales::kLeast)), -0.0f, out);
  }

  void nvfp4(float target, Candidate& out) const {
    out.scale_code = static_cast<std::uint8_t>(encode(ElementFormat::ue4m3, target));
    out.scale = decode_f32(ElementFormat::ue4m3, out.scale_code);
    if (out.scale_code != 0) round_all(std::min(1.0f / (args_.decode * out.scale), kFloatMax), -0.0f, out);
  }

  void mx(Candidate& out) const {
    const bool is_static =
        spec_.quantize.rule == ScaleRule::static_6 || spec_.quantize.rule == ScaleRule::static_4;
    out.scale_code = mx_scale_code(amax());
    if (out.scale_code == 0 && is_static) return;
    const float inverse = decode_f32(ElementFormat::ue8m0, 254u - out.scale_code);
    const bool in_thirds =
        spec_.quantize.rule == ScaleRule::shift || spec_.quantize.rule == ScaleRule::search;
    round_all(in_thirds ? 3.0f * inverse : inverse, is_static ? 0.0f : -0.0f, out);
  }

  std::uint8_t mx_scale_code(float largest) const {
    const auto bits = std::bit_cast<std::uint32_t>(largest);
    const auto below = [](std::uint32_t rounded) {
      return static_cast<std::uint8_t>(std::max(static_cast<int>(rounded >> 23) - 2, 0));
    };
    const auto at_or_above = [](float x) {
      return static_cast<std::uint8_t>((std::bit_cast<std::uint32_t>(x) + 0x007f'ffff) >> 23);
    };
    switch (spec_.quantize.rule) {
      case ScaleRule::floor:
        return below(bits);
      case ScaleRule::ceil:
        return below(bits + 0x007f'ffff);
      case ScaleRule::even:
        return below(bits + 0x0020'0000);
      case ScaleRule::rceil:
        return encode_ue8m0(largest * (1.0f / 6.0f), Rounding::rp);
      case ScaleRule::shift:
        return static_cast<std::uint8_t>(std::max(bits >> 23, 1u));
      case ScaleRule::search:
        return static_cast<std::uint8_t>(
            std::max(std::bit_cast<std::uint32_t>(searched_scale(values(), largest) * 6.0f) >> 23, 1u));
      case ScaleRule::quest:
        return static_cast<std::uint8_t>(
            std::min(std::bit_cast<std::uint32_t>(quest_scale(values().data(), width_)) >> 23, 254u));
      case ScaleRule::static_4:
        return at_or_above(largest / 4.0f);
      default:
        return at_or_above(largest / 6.0f);
    }
  }

  void round_all(float multiplier, float zero, Candidate& out) const {
    for (int r = 0; r < group_.rows(); ++r) {
      for (int i = 0; i < width_; ++i) {
        const float y = (at(r, i) + zero) * multiplier;
        out.codes[code_index(r, i)] = spec_.quantize.rounding == ElementRounding::nearest
                                          ? e2m1_nearest(y)
                                          : e2m1_stochastic(y, random_byte(r, i));
      }
    }
  }

  std::uint8_t random_byte(int r, int i) const {
    const std::uint64_t run = first_run_ + static_cast<std::uint64_t>(r * args_.run_step + i / 16);
    return stochastic_byte((std::uint64_t{args_.keys[1]} << 32) | args_.keys[0],
                           run * 16 + static_cast<std::uint64_t>(i % 16));
  }

  // Sequential over a row; rows as a tree: r with r + 8, r + 4, r + 2, r + 1.
  float error(const Candidate& candidate) const {
    std::array<float, 16> rows{};
    for (int r = 0; r < group_.rows(); ++r) rows[static_cast<std::size_t>(r)] = row_error(candidate, r);
    if (!spec_.quantize.block_2d) return rows[0];
    for (std::size_t half = 8; half > 0; half /= 2) {
      for (std::size_t r = 0; r < half; ++r)
        rows[r] = spec_.quantize.rule == ScaleRule::abs_max_4_6 ? std::max(rows[r], rows[r + half])
                                                                : rows[r] + rows[r + half];
    }
    return rows[0];
  }

  float row_error(const Candidate& candidate, int r) const {
    const float denominator = largest_code(spec_.quantize.rule) * largest_scale(spec_.quantize);
    float total = 0.0f;
    for (int i = 0; i < width_; ++i) {
      const float code = kE2m1Values[candidate.codes[code_index(r, i)]];
      const float e = ((code * candidate.scale) * args_.amax) / denominator - at(r, i);
      switch (spec_.quantize.rule) {
        case ScaleRule::mse_4_6:
          total += e * e;
          break;
        case ScaleRule::mae_4_6:
          total += std::fabs(e);
          break;
        default:
          total = std::fabs(e) > total ? std::fabs(e) : total;
      }
    }
    return total;
  }

  float at(int r, int i) const { return group_.row(r)[first_ + i]; }
  static std::size_t code_index(int r, int i) { return static_cast<std::size_t>(r * kWidest + i); }

  const QuantizerSpec& spec_;
  const StripArgs& args_;
  const Group& group_;
  int width_, first_;
  std::uint64_t first_run_;
};

void store_block(const StripArgs& args, std::int64_t group, int block, int width, int rows,
                 const Candidate& chosen) {
  for (int r = 0; r < rows; ++r) {
    std::uint8_t* packed = args.codes + r * args.codes_stride + (group * kGroup + block * width) / 2;
    const std::uint8_t* codes = chosen.codes.data() + r * kWidest;
    for (int i = 0; i < width / 2; ++i)
      packed[i] = static_cast<std::uint8_t>(codes[2 * i] | codes[2 * i + 1] << 4);
  }
  const std::int64_t column = group * (kGroup / width) + block;
  args.scales[column / 4 * args.scale_step + column % 4] = chosen.scale_code;
}

class QuantizeScalar final : public QuantizeKernel {
 public:
  explicit QuantizeScalar(const QuantizerSpec& spec)
      : name_(kernel_name(spec) + "__scalar"), spec_(inner_spec(spec)) {}

  KernelCode code() const override {
    return {name_, "scalar", "bit_exact(quantize)", {}, {}, "compiled C++"};
  }

  void strip(const StripArgs& args) const override {
    const unsigned all = (1u << blocks_of_group(spec_.quantize.format)) - 1;
    for (std::int64_t group = 0; group < args.groups; ++group) {
      redo_blocks(spec_, args, group, all);
      args.flags[group] = 0;
    }
  }

  void amax(AmaxArgs& args) const override {
    std::array<float, kGroup> row;
    std::uint32_t largest = 0;
    const auto* x = static_cast<const std::uint8_t*>(args.x);
    for (std::int64_t group = 0; group < args.groups; ++group) {
      load_elements(spec_.input, x + group * kGroup * plain_bytes(spec_.input), kGroup, row.data());
      if (spec_.rotate != 0) Group::rotate(spec_, args.sign_words, args.rotation_scale, row.data());
      for (const float value : row) {
        const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(value) & 0x7fff'ffffu;
        largest = std::max(largest, magnitude > 0x7f80'0000u ? 0 : magnitude);
      }
    }
    args.amax = std::bit_cast<float>(largest);
  }

 private:
  std::string name_;
  QuantizerSpec spec_;  // of what happens inside a strip
};

}  // namespace

void redo_blocks(const QuantizerSpec& spec, const StripArgs& args, std::int64_t group, unsigned blocks) {
  const Group values(spec, args, group);
  const int width = info(spec.quantize.format).block;
  for (int block = 0; block < kGroup / width; ++block) {
    if ((blocks >> block & 1) == 0) continue;
    Candidate chosen;
    BlockQuantizer(spec, args, values, group, block).run(chosen);
    store_block(args, group, block, width, values.rows(), chosen);
  }
}

const char* quantize_scalar_refusal(const QuantizerSpec&) { return nullptr; }

Result<std::shared_ptr<const QuantizeKernel>> make_quantize_scalar(const QuantizerSpec& spec) {
  return std::shared_ptr<const QuantizeKernel>(std::make_shared<QuantizeScalar>(spec));
}

}  // namespace fourge::jit
