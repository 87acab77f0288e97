#include "tests/support/amx_emulator.h"

#if defined(__x86_64__) && defined(__linux__)

#include <ucontext.h>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "jit/cpu.h"

namespace fourge::tests {
namespace {

struct Tile {
  int rows = 0, row_bytes = 0;
  std::uint8_t data[16][64] = {};
};

// Per thread, as on the processor.
thread_local Tile tiles[8];

// The VEX.128.0F38.W0 instruction at `code`, as far as AMX uses it.
struct Decoded {
  int opcode = 0, prefix = 0;  // prefix: 0 none, 1 66, 2 F3, 3 F2
  int mod = 0, reg = 0, rm = 0, vvvv = 0;
  std::uint64_t address = 0;  // base + index * scale + displacement
  std::uint64_t base = 0;     // base + displacement
  std::uint64_t stride = 0;   // index * scale
  int length = 0;
  bool valid = false;
};

std::uint64_t general_register(const ucontext_t& context, int number) {
  constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<std::uint64_t>(context.uc_mcontext.gregs[kOrder[number]]);
}

Decoded decode(const ucontext_t& context) {
  Decoded d;
  const auto* code = reinterpret_cast<const std::uint8_t*>(context.uc_mcontext.gregs[REG_RIP]);
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0) return d;
  const int x = (code[1] & 0x40) != 0 ? 0 : 8, b = (code[1] & 0x20) != 0 ? 0 : 8;
  d.vvvv = ~(code[2] >> 3) & 15;
  d.prefix = code[2] & 3;
  d.opcode = code[3];
  const int modrm = code[4];
  d.mod = modrm >> 6, d.reg = (modrm >> 3) & 7, d.rm = modrm & 7;
  d.length = 5;
  if (d.mod != 3) {
    int displacement_bytes = d.mod == 1 ? 1 : d.mod == 2 ? 4 : 0;
    if (d.rm == 4) {
      const int sib = code[d.length++];
      const int index = ((sib >> 3) & 7) | x, base = (sib & 7) | b;
      if (index != 4) d.stride = general_register(context, index) << (sib >> 6);
      if ((sib & 7) == 5 && d.mod == 0) return d;
      d.base = general_register(context, base);
    } else if (d.rm == 5 && d.mod == 0) {  // rip-relative
      displacement_bytes = 4;
      d.base = static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RIP]) +
               static_cast<std::uint64_t>(d.length + 4);
    } else {
      d.base = general_register(context, d.rm | b);
    }
    std::int32_t displacement = 0;
    if (displacement_bytes == 1) displacement = static_cast<std::int8_t>(code[d.length]);
    if (displacement_bytes == 4) std::memcpy(&displacement, code + d.length, 4);
    d.length += displacement_bytes;
    d.base += static_cast<std::uint64_t>(std::int64_t{displacement});
    d.address = d.base + d.stride;
  }
  d.valid = true;
  return d;
}

void load_config(const std::uint8_t* config) {
  for (int t = 0; t < 8; ++t) {
    std::uint16_t row_bytes = 0;
    std::memcpy(&row_bytes, config + 16 + 2 * t, 2);
    tiles[t] = Tile{};
    tiles[t].row_bytes = row_bytes;
    tiles[t].rows = config[48 + t];
  }
}

float flush(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

float from_bf16(const std::uint8_t* bytes) {
  std::uint16_t half = 0;
  std::memcpy(&half, bytes, 2);
  const std::uint32_t bits = std::uint32_t{half} << 16;
  float x = 0;
  std::memcpy(&x, &bits, 4);
  return flush(x);
}

void dot_bf16(Tile& d, const Tile& a, const Tile& b) {
  for (int m = 0; m < d.rows; ++m) {
    for (int n = 0; n < d.row_bytes / 4; ++n) {
      float even = 0, odd = 0;
      for (int k = 0; k < a.row_bytes / 4; ++k) {
        even = flush(std::fma(from_bf16(a.data[m] + 4 * k), from_bf16(b.data[k] + 4 * n), even));
        odd = flush(std::fma(from_bf16(a.data[m] + 4 * k + 2), from_bf16(b.data[k] + 4 * n + 2), odd));
      }
      float c = 0;
      std::memcpy(&c, d.data[m] + 4 * n, 4);
      c = flush(flush(c) + flush(even + odd));
      std::memcpy(d.data[m] + 4 * n, &c, 4);
    }
  }
}

void dot_signed_bytes(Tile& d, const Tile& a, const Tile& b) {
  const auto byte = [](std::uint8_t bits) { return std::int32_t{static_cast<std::int8_t>(bits)}; };
  for (int m = 0; m < d.rows; ++m) {
    for (int n = 0; n < d.row_bytes / 4; ++n) {
      std::uint32_t sum = 0;
      std::memcpy(&sum, d.data[m] + 4 * n, 4);
      for (int k = 0; k < a.row_bytes; ++k)
        sum += static_cast<std::uint32_t>(byte(a.data[m][k]) * byte(b.data[k / 4][4 * n + k % 4]));
      std::memcpy(d.data[m] + 4 * n, &sum, 4);
    }
  }
}

bool execute(const Decoded& d) {
  Tile& tile = tiles[d.reg];
  if (d.opcode == 0x49 && d.prefix == 0 && d.mod != 3)
    return load_config(reinterpret_cast<const std::uint8_t*>(d.address)), true;
  if (d.opcode == 0x49 && d.prefix == 0) {  // TILERELEASE
    for (Tile& t : tiles) t = Tile{};
    return true;
  }
  if (d.opcode == 0x49 && d.prefix == 3) return std::memset(tile.data, 0, sizeof tile.data), true;
  if (d.opcode == 0x4b && (d.prefix == 3 || d.prefix == 1)) {  // TILELOADD, TILELOADDT1
    std::memset(tile.data, 0, sizeof tile.data);
    for (int r = 0; r < tile.rows; ++r) {
      std::memcpy(tile.data[r],
                  reinterpret_cast<const void*>(d.base + static_cast<std::uint64_t>(r) * d.stride),
                  static_cast<std::size_t>(tile.row_bytes));
    }
    return true;
  }
  if (d.opcode == 0x4b && d.prefix == 2) {
    for (int r = 0; r < tile.rows; ++r) {
      std::memcpy(reinterpret_cast<void*>(d.base + static_cast<std::uint64_t>(r) * d.stride), tile.data[r],
                  static_cast<std::size_t>(tile.row_bytes));
    }
    return true;
  }
  if (d.opcode == 0x5c && d.prefix == 2 && d.mod == 3)
    return dot_bf16(tile, tiles[d.rm], tiles[d.vvvv & 7]), true;
  if (d.opcode == 0x5e && d.prefix == 3 && d.mod == 3)
    return dot_signed_bytes(tile, tiles[d.rm], tiles[d.vvvv & 7]), true;
  return false;
}

void on_illegal_instruction(int, siginfo_t*, void* raw) {
  auto& context = *static_cast<ucontext_t*>(raw);
  const Decoded d = decode(context);
  if (!d.valid || !execute(d)) {
    std::signal(SIGILL, SIG_DFL);  // not ours: the instruction traps again and ends the process
    return;
  }
  context.uc_mcontext.gregs[REG_RIP] += d.length;
}

}  // namespace

bool enable_amx_or_emulate() {
  if (jit::host_features().missing_for(jit::Isa::amx) == nullptr) return true;
  if (jit::host_features().missing_for(jit::Isa::avx512) != nullptr || !jit::host_features().avx512_fp16)
    return false;
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_sigaction = on_illegal_instruction;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    return sigaction(SIGILL, &action, nullptr) == 0;
  }();
  return installed;
}

}  // namespace fourge::tests

#else

namespace fourge::tests {
bool enable_amx_or_emulate() { return false; }
}  // namespace fourge::tests

#endif
