#include "jit/aarch64/decode.h"

#include <cstddef>

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

void AArch64DecodeGenerator::generate() {
  using simd::DecodeArgs;
  const auto field = [this](std::size_t offset) {
    return MemOperand(args, static_cast<std::int64_t>(offset));
  };
  prologue(0, kToNearest);
  Ldr(codes, field(offsetof(DecodeArgs, codes)));
  Ldr(scales, field(offsetof(DecodeArgs, scales)));
  Ldr(y, field(offsetof(DecodeArgs, y)));
  Ldr(table, field(offsetof(DecodeArgs, table)));
  Ldr(blocks_left, field(offsetof(DecodeArgs, blocks)));
  Movi(nibble_mask.V16B(), 15);
  Label next_block;
  Bind(&next_block);
  begin_inner_step();
  load_row();
  const bool is_long = info(spec_.format).block == 32;
  if (is_long) {
    Ldr(packed.Q(), MemOperand(codes, 16, PostIndex));
  } else {
    Ldr(packed.D(), MemOperand(codes, 8, PostIndex));
  }
  Ushr(high.V16B(), packed.V16B(), 4);
  And(packed.V16B(), packed.V16B(), nibble_mask.V16B());
  Zip1(first.V16B(), packed.V16B(), high.V16B());
  if (is_long) Zip2(second.V16B(), packed.V16B(), high.V16B());
  sixteen(first);
  if (is_long) sixteen(second);
  end_inner_step();
  Subs(blocks_left, blocks_left, 1);
  B(&next_block, ne);
  epilogue();
}

// plane(t) <- byte t of the 16 outputs under the next scale. ue4m3 ignores bit 7.
void AArch64DecodeGenerator::load_row() {
  Ldrb(row.W(), MemOperand(scales, 1, PostIndex));
  if (info(spec_.format).scale == ElementFormat::ue4m3) And(row, row, 0x7f);
  Add(row, table, Operand(row, LSL, is_wide() ? 6 : 5));
  if (is_wide()) {
    Ld4(plane(0).V16B(), plane(1).V16B(), plane(2).V16B(), plane(3).V16B(), MemOperand(row));
  } else {
    Ld2(plane(0).V16B(), plane(1).V16B(), MemOperand(row));
  }
}

void AArch64DecodeGenerator::sixteen(const VRegister& codes_in_order) {
  const int bytes = is_wide() ? 4 : 2;
  for (int t = 0; t < bytes; ++t) Tbl(output(t).V16B(), plane(t).V16B(), codes_in_order.V16B());
  if (is_wide()) {
    St4(output(0).V16B(), output(1).V16B(), output(2).V16B(), output(3).V16B(), MemOperand(y, 64, PostIndex));
  } else {
    St2(output(0).V16B(), output(1).V16B(), MemOperand(y, 32, PostIndex));
  }
}

KernelNotes AArch64DecodeGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"v0..v3", "a row of the table: byte t of 16 outputs"},     {"v4..v7", "byte t of 16 elements"},
      {"v16..v19", "packed codes, high nibbles, codes in order"}, {"v20", "15 in every byte"},
      {"x1..x5", "codes, scales, y, table, blocks left"},
  };
  notes.budget = "a block of 16: one ld4 (ld2), 4 to unpack, one tbl a byte of output, one st4 (st2)";
  return notes;
}

}  // namespace fourge::jit
