// The models: one row for each tensor-core instruction, with what is known about it and from where.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "fourge/formats.h"
#include "reference/mma/dot_add.h"
#include "reference/mma/mxf4.h"

namespace fourge::reference {

/// Which procedure an instruction is.
enum class Procedure : std::uint8_t {
  dot,               // mma/dot.h
  fp8_through_f16,   // mma.sync fp8 where the compiler emits two f16 instructions and an addition
  block_scaled_fp4,  // mma/mxf4.h
};

/// What a row rests on, strongest first.
enum class Evidence : std::uint8_t {
  hardware,   // measured, on the silicon named in the row
  simulator,  // MMA-Sim c785138, whose authors compared random bits with the silicon
  inferred,   // the rules of a near relative
};

constexpr const char* name_of(Evidence evidence) {
  return evidence == Evidence::hardware    ? "hardware"
         : evidence == Evidence::simulator ? "simulator"
                                           : "inferred";
}

/// A set of element formats.
struct FormatSet {
  std::uint32_t bits = 0;

  constexpr FormatSet() = default;
  template <class... Formats>
  constexpr explicit FormatSet(Formats... formats) : bits(((1u << static_cast<unsigned>(formats)) | ...)) {}
  constexpr bool contains(ElementFormat format) const {
    return (bits >> static_cast<unsigned>(format) & 1) != 0;
  }
};

struct MmaModel {
  std::string_view name;
  Procedure procedure = Procedure::dot;
  FormatSet formats;               // of a and b, which may differ
  std::array<int, 2> depths = {};  // K of one instruction; {} takes any
  DotAddRules rules;
  Evidence evidence = Evidence::inferred;
  std::string_view source;
  ElementFormat scale_format = ElementFormat::ue8m0;
  int scale_block = 0;  // elements that share a scale; 0: unscaled

  constexpr bool takes_depth(int k) const {
    return depths[0] == 0 || k == depths[0] || (depths[1] != 0 && k == depths[1]);
  }
  /// What the words of c and d are: those of a 16-bit output, else f32 (c keeps all its bits under E8M13).
  constexpr ElementFormat c_format() const {
    if (rules.output.storage_bits == 32) return ElementFormat::f32;
    return rules.output.exponent_bits == 5 ? ElementFormat::f16 : ElementFormat::bf16;
  }
};

namespace rows {

inline constexpr FormatSet kF16{ElementFormat::f16};
inline constexpr FormatSet kBf16{ElementFormat::bf16};
inline constexpr FormatSet kTf32{ElementFormat::tf32};
inline constexpr FormatSet kFp4{ElementFormat::e2m1};
inline constexpr FormatSet kFp8{ElementFormat::e4m3, ElementFormat::e5m2};
inline constexpr FormatSet kFp8Fp6Fp4{ElementFormat::e4m3, ElementFormat::e5m2, ElementFormat::e3m2,
                                      ElementFormat::e2m3, ElementFormat::e2m1};

// Floors of Emax: north-numerical-computing/MATLAB-tensor-core b12b5a7; -133 also measured on an H100. They
// can be seen with bf16, tf32 and scaled operands only: no product of the other formats is that small.
constexpr DotAddRules f32_rz(int fraction_bits, int products_per_sum) {
  return {.fraction_bits = fraction_bits,
          .products_per_sum = products_per_sum,
          .output = info(ElementFormat::f32),
          .rounding = Rounding::rz,
          .lowest_exponent = fraction_bits == 24 ? -132 : -133};
}
constexpr DotAddRules f16_rne(int fraction_bits, int products_per_sum) {
  return {.fraction_bits = fraction_bits,
          .products_per_sum = products_per_sum,
          .output = info(ElementFormat::f16),
          .rounding = Rounding::rne,
          .lowest_exponent = fraction_bits == 24 ? -20 : -21};
}
constexpr DotAddRules e8m13_rz(int products_per_sum) {
  return {.fraction_bits = 13,
          .products_per_sum = products_per_sum,
          .output = kE8m13,
          .rounding = Rounding::rz,
          .lowest_exponent = kNoLowestExponent};
}

constexpr MmaModel dot(std::string_view name, FormatSet formats, std::array<int, 2> depths,
                       const DotAddRules& rules, Evidence evidence, std::string_view source) {
  return {name, Procedure::dot, formats, depths, rules, evidence, source};
}
constexpr MmaModel fp8_through_f16(std::string_view name, const DotAddRules& rules, std::string_view source) {
  return {name, Procedure::fp8_through_f16, kFp8, {32, 16}, rules, Evidence::hardware, source};
}
constexpr MmaModel fp4(std::string_view name, ElementFormat scale_format, int block,
                       std::string_view source) {
  return {name,           Procedure::block_scaled_fp4, kFp4,   {64},
          kMxf4Rules.sum, Evidence::simulator,         source, scale_format,
          block};
}

inline constexpr std::string_view kHopper = "H100 captures of mma.sync and wgmma; Leeds H100, H200";
inline constexpr std::string_view kWgmmaFp8 = "H100 captures of wgmma; Leeds H100, H200 (c = 0)";
inline constexpr std::string_view kLowering = "H100 captures; SASS of sm_90a, nvcc 13.0";
inline constexpr std::string_view kLoweringF16 = "H100 captures; Leeds H100, H200; SASS of sm_90a";
inline constexpr std::string_view kB200 = "Leeds B200 (mma.sync), MMA-Sim (tcgen05); zero rule as Hopper's";
inline constexpr std::string_view kB200Fp8 = "Leeds B200; SASS of sm_100a, nvcc 13.0";
inline constexpr std::string_view kF8f6f4 = "MMA-Sim for e4m3, e5m2; inferred: e3m2, e2m3, e2m1, zero rule";
inline constexpr std::string_view kMxf4 =
    "MMA-Sim, which its authors compared with a B200 and an RTX Blackwell";
inline constexpr std::string_view kMxf4B16 = "MMA-Sim, which its authors compared with a B200";
inline constexpr std::string_view kAmpere =
    "Leeds A100 (5,000 outputs each; not among this project's vectors)";
inline constexpr std::string_view kAda =
    "Leeds Ada, L40S (5,000 outputs each; not among this project's vectors)";

constexpr MmaModel mxf8f6f4(std::string_view name) {
  MmaModel model = dot(name, kFp8Fp6Fp4, {32}, f32_rz(25, 32), Evidence::simulator, kF8f6f4);
  model.scale_block = 32;
  return model;
}

}  // namespace rows

// H100 captures: tests/data/captures and tools/capture/README.md.
// Leeds: north-numerical-computing/MATLAB-tensor-core b12b5a7, published outputs of real GPUs, finite
// operands. MMA-Sim: microsoft/MMA-Sim c785138, a simulator. docs/numerics.md has the counts.
// clang-format off
inline constexpr MmaModel kMmaModels[] = {
    //         name                                a and b           K         rules
    rows::dot("hopper.f16.f32",                    rows::kF16,       {16, 8},  rows::f32_rz(25, 16),  Evidence::hardware, rows::kHopper),
    rows::dot("hopper.f16.f16",                    rows::kF16,       {16, 8},  rows::f16_rne(25, 16), Evidence::hardware, rows::kHopper),
    rows::dot("hopper.bf16.f32",                   rows::kBf16,      {16, 8},  rows::f32_rz(25, 16),  Evidence::hardware, rows::kHopper),
    rows::dot("hopper.tf32.f32",                   rows::kTf32,      {8, 4},   rows::f32_rz(25, 8),   Evidence::hardware, rows::kHopper),
    rows::dot("hopper.wgmma.fp8.f32",              rows::kFp8,       {32},     rows::e8m13_rz(32),    Evidence::hardware, rows::kWgmmaFp8),
    rows::dot("hopper.wgmma.fp8.f16",              rows::kFp8,       {32},     rows::f16_rne(13, 32), Evidence::hardware, "H100 captures of wgmma"),
    rows::fp8_through_f16("hopper.mma_sync.fp8.f32",                           rows::f32_rz(25, 16),  rows::kLowering),
    rows::fp8_through_f16("hopper.mma_sync.fp8.f16",                           rows::f16_rne(25, 16), rows::kLoweringF16),

    rows::dot("blackwell.f16.f32",                 rows::kF16,       {16, 8},  rows::f32_rz(25, 16),  Evidence::hardware, rows::kB200),
    rows::dot("blackwell.f16.f16",                 rows::kF16,       {16, 8},  rows::f16_rne(25, 16), Evidence::hardware, rows::kB200),
    rows::dot("blackwell.bf16.f32",                rows::kBf16,      {16, 8},  rows::f32_rz(25, 16),  Evidence::hardware, rows::kB200),
    rows::dot("blackwell.tf32.f32",                rows::kTf32,      {8, 4},   rows::f32_rz(25, 8),   Evidence::hardware, rows::kB200),
    rows::fp8_through_f16("blackwell.mma_sync.fp8.f32",                        rows::f32_rz(25, 16),  rows::kB200Fp8),
    rows::fp8_through_f16("blackwell.mma_sync.fp8.f16",                        rows::f16_rne(25, 16), rows::kB200Fp8),
    rows::dot("blackwell.f8f6f4.f32",              rows::kFp8Fp6Fp4, {32, 16}, rows::f32_rz(25, 32),  Evidence::simulator, rows::kF8f6f4),
    rows::dot("blackwell.f8f6f4.f16",              rows::kFp8Fp6Fp4, {32, 16}, rows::f16_rne(25, 32), Evidence::simulator, rows::kF8f6f4),
    rows::mxf8f6f4("blackwell.mxf8f6f4.ue8m0.block32"),
    rows::fp4("blackwell.mxf4.ue8m0.block32",      ElementFormat::ue8m0, 32, rows::kMxf4),
    rows::fp4("blackwell.mxf4nvf4.ue8m0.block16",  ElementFormat::ue8m0, 16, rows::kMxf4B16),
    rows::fp4("blackwell.mxf4nvf4.ue4m3.block16",  ElementFormat::ue4m3, 16, rows::kMxf4),

    rows::dot("ampere.f16.f32",                    rows::kF16,       {16, 8},  rows::f32_rz(24, 8),   Evidence::hardware, rows::kAmpere),
    rows::dot("ampere.f16.f16",                    rows::kF16,       {16, 8},  rows::f16_rne(24, 8),  Evidence::hardware, rows::kAmpere),
    rows::dot("ampere.bf16.f32",                   rows::kBf16,      {16, 8},  rows::f32_rz(24, 8),   Evidence::hardware, rows::kAmpere),
    rows::dot("ampere.tf32.f32",                   rows::kTf32,      {8, 4},   rows::f32_rz(24, 4),   Evidence::hardware, rows::kAmpere),
    rows::dot("ada.f16.f32",                       rows::kF16,       {16, 8},  rows::f32_rz(24, 8),   Evidence::hardware, rows::kAda),
    rows::dot("ada.f16.f16",                       rows::kF16,       {16, 8},  rows::f16_rne(24, 8),  Evidence::hardware, rows::kAda),
    rows::dot("ada.bf16.f32",                      rows::kBf16,      {16, 8},  rows::f32_rz(24, 8),   Evidence::hardware, rows::kAda),
    rows::dot("ada.tf32.f32",                      rows::kTf32,      {8, 4},   rows::f32_rz(24, 4),   Evidence::hardware, rows::kAda),
    rows::dot("ada.fp8.f32",                       rows::kFp8,       {32, 16}, rows::e8m13_rz(16),    Evidence::hardware, rows::kAda),
    rows::dot("ada.fp8.f16",                       rows::kFp8,       {32, 16}, rows::f16_rne(13, 16), Evidence::hardware, rows::kAda),
};
// clang-format on

}  // namespace fourge::reference
