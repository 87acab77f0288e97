#include "jit/x86/amx_output.h"

#include <cstddef>

namespace fourge::jit {

using Xbyak::Label;

// Rows of D lie a page or more apart: asked for this many rows before they are written.
constexpr int kRowsAhead = 8;

void AmxOutputGenerator::generate() {
  Label single, done;
  prologue(0);
  load_arguments();
  cmp(dword[args + offsetof(AmxOutputArgs, panels)], 1);
  je(single, T_NEAR);
  row_loop(2);
  jmp(done, T_NEAR);
  L(single);
  row_loop(1);
  L(done);
  epilogue();
  align(4);
  L(nan_);
  dd(0x7fffffff);
  emit_io_pool();
}

void AmxOutputGenerator::load_arguments() {
  mov(acc, ptr[args + offsetof(AmxOutputArgs, acc)]);
  mov(acc_1, acc);
  add(acc_1, ptr[args + offsetof(AmxOutputArgs, acc_stride)]);
  mov(d, ptr[args + offsetof(AmxOutputArgs, d)]);
  mov(d_stride, ptr[args + offsetof(AmxOutputArgs, d_stride)]);
  mov(rows_left, ptr[args + offsetof(AmxOutputArgs, rows)]);
  lea(d_ahead, ptr[d + kRowsAhead * d_stride]);
  vbroadcastss(alpha, ptr[args + offsetof(AmxOutputArgs, alpha)]);
  vbroadcastss(nan, ptr[rip + nan_]);
  for (int panel = 0; panel < 2; ++panel) {
    const auto side = static_cast<std::size_t>(panel);
    kmovw(columns(panel), ptr[args + offsetof(AmxOutputArgs, columns) + 2 * side]);
    if (bias_) {
      mov(tmp, ptr[args + offsetof(AmxOutputArgs, bias)]);
      vmovups(bias(panel) | columns(panel) | T_z, ptr[tmp + 64 * panel]);
    }
  }
}

// A row of 32 outputs: 2 loads, 2 fma or mul, 2 compares, 2 blends, 2 stores and a line each asked for ahead.
void AmxOutputGenerator::row_loop(int panels) {
  Label next;
  L(next);
  for (int line = 0; line < panels * panel_bytes(); line += 64) prefetchw(ptr[d_ahead + line]);
  for (int panel = 0; panel < panels; ++panel) store_panel(panel);
  add(acc, 64);
  add(acc_1, 64);
  add(d, d_stride);
  add(d_ahead, d_stride);
  dec(rows_left);
  jnz(next, T_NEAR);
}

void AmxOutputGenerator::store_panel(int panel) {
  const auto& sums = panel == 0 ? acc : acc_1;
  if (bias_) {
    vmovaps(value, bias(panel));
    vfmadd231ps(value, alpha, ptr[sums]);
  } else {
    vmulps(value, alpha, ptr[sums]);
  }
  vcmpps(nan_lanes, value, value, 3);  // unordered
  vmovaps(value | nan_lanes, nan);
  store_from_f32(ptr[d + panel * panel_bytes()], value, element(), t0, t1, nan_lanes, columns(panel));
}

KernelNotes AmxOutputGenerator::notes() const {
  return {{{"zmm0, zmm5..6", "alpha, bias of the two panels"},
           {"rsi, rdx, rcx", "accumulators of panels 0 and 1, D"}},
          "32 outputs: 2 lines read, 2 written; bound by the writes"};
}

}  // namespace fourge::jit
