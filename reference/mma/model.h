// One interface to all instructions: choose a model by name, decode rows, compute outputs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fourge/error.h"
#include "fourge/formats.h"
#include "reference/mma/dot.h"
#include "reference/mma/mxf4.h"
#include "reference/mma/rules.h"

namespace fourge::reference {

/// How fp6 and fp4 elements of the (mx)f8f6f4 kinds enter the alignment. No source says.
enum class NarrowSubnormals : std::uint8_t {
  own_exponent,  // a subnormal keeps the least exponent of its format, as fp8 does: e2m1 0.5 = 0.1b * 2^0
  normalised,    // as if widened to a format in which it is normal: e2m1 0.5 = 1.0b * 2^-1
};

constexpr const char* name_of(NarrowSubnormals rule) {
  return rule == NarrowSubnormals::own_exponent ? "own-exponent" : "normalised";
}

/// The choices that docs/numerics.md names, "Policies". The defaults are this project's.
struct MmaPolicy {
  ZeroRule zeros = ZeroRule::hardware;  // hardware or mma_sim; the fp4 kinds have a rule of their own
  NarrowSubnormals narrow_subnormals = NarrowSubnormals::own_exponent;
  bool zero_groups_count = true;  // fp4 kinds: a group that sums to zero takes part in Emax
};

/// A model's name is one of kMmaModels, or an accumulator of the user's own:
///
///   custom:fraction_bits=F,products=P,output=f32|e8m13|f16|bf16,rounding=rz|rne
///          [,emax_floor=E][,scales=ue8m0|ue4m3,block=B]
///
/// F in 1..44 bits are kept below Emax, P in 1..1024 products make one sum, the result is rounded as said
/// (the alignment always truncates). Zero terms take no part in Emax; without emax_floor nothing bounds it
/// from below. Elements are any of e2m1 to tf32, K is any. kNotFound and kBadArgument say what was expected.
Result<MmaModel> find_model(std::string_view name);

/// Sizes of one tile: D (m x n) = A (m x k) B (n x k, transposed) + C.
struct MmaShape {
  int m = 1;
  int n = 1;
  int k = 64;
  ElementFormat a_format = ElementFormat::e2m1;
  ElementFormat b_format = ElementFormat::e2m1;
};

/// Whether the model takes these formats and this depth; the reason when not.
Status check(const MmaModel& model, const MmaShape& shape);

/// Bytes of k elements: fp4 two a byte, low nibble first; fp6 and fp8 one a byte; f16, bf16 two, tf32 four
/// bytes, little endian.
int row_bytes(ElementFormat format, int k);
/// Whether a row of k elements may take `bytes`: row_bytes(), or, for e2m1 outside the fp4 kinds, one byte
/// each, the element in bits 5:2 as mma.sync.kind::f8f6f4 has it (PTX ISA 9.7.14.5.14).
bool takes_row_bytes(const MmaModel& model, ElementFormat format, int k, int bytes);
/// Scales of one row.
constexpr int scales_per_row(const MmaModel& model, int k) {
  return model.scale_block == 0 ? 0 : (k + model.scale_block - 1) / model.scale_block;
}

/// The code of element i in such a row.
std::uint32_t element_code(ElementFormat format, int k, std::span<const std::uint8_t> row, int i);

/// A row of A or a column of B, decoded for its model.
struct MmaRow {
  DotRow dot = {};
  Mxf4Operand fp4 = {};
};

/// `row` has a length that takes_row_bytes(), `scales` holds scales_per_row().
MmaRow decode_row(const MmaModel& model, ElementFormat format, int k, std::span<const std::uint8_t> row,
                  std::span<const std::uint8_t> scales, const MmaPolicy& policy = {});

/// How one output came about.
struct MmaTrace {
  std::vector<DotAddTrace> sums = {};  // in order
  bool adds_c_last = false;            // fp8_through_f16: D = c + sums.back().result, to nearest even
  std::uint32_t result = 0;
};

/// One output. c and D are words of model.c_format().
std::uint32_t mma(const MmaModel& model, const MmaRow& a, const MmaRow& b, std::uint32_t c,
                  const MmaPolicy& policy = {}, MmaTrace* trace = nullptr);

/// Products of one sum at this depth.
int products_per_sum(const MmaModel& model, int k);

/// Which element the product at `position` of an unbroken count over all sums of a trace belongs to: the
/// identity but for fp8_through_f16, whose first instruction takes the low byte pair of every 32-bit
/// register.
int element_of_position(const MmaModel& model, int k, int position);

}  // namespace fourge::reference
