// Where a kernel keeps its caller's frame, instruction by instruction, and the tables that say so to
// debuggers and profilers.
//
// Sources: DWARF 5, 6.4 (call frame information); Linux Standard Base 5.0, 10.6 (.eh_frame, .eh_frame_hdr);
// System V ABI for x86-64, figure 3.36, and DWARF for the Arm 64-bit Architecture, 4.1 (register numbers).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fourge::jit {

/// What holds from the instruction at `offset` on. Registers by their DWARF numbers.
struct FrameStep {
  enum class Kind : std::uint8_t {
    cfa,       // the canonical frame address (the caller's stack pointer) = reg + value
    saved,     // the caller's reg lies at CFA + value, a negative multiple of 8
    restored,  // the caller's reg is in reg
    remember,  // what holds now ...
    recall,    // ... holds again
  };
  std::uint32_t offset = 0;
  Kind kind = Kind::cfa;
  std::uint8_t reg = 0;
  std::int32_t value = 0;
};

enum class Machine : std::uint8_t { x86_64, aarch64 };
#if defined(__aarch64__)
inline constexpr Machine kHostMachine = Machine::aarch64;
#else
inline constexpr Machine kHostMachine = Machine::x86_64;
#endif

/// DWARF register numbers.
namespace dwarf {
inline constexpr std::uint8_t kRbx = 3, kRbp = 6, kRsp = 7, kR12 = 12, kReturnAddress = 16;
inline constexpr std::uint8_t kX19 = 19, kX29 = 29, kX30 = 30, kSp = 31, kD8 = 72;
}  // namespace dwarf

/// Bytes of the section .eh_frame for one function: a CIE, an FDE, the terminator. Their addresses are
/// relative: the section must lie at eh_frame_offset(code_bytes) from the first instruction.
std::vector<std::uint8_t> eh_frame(Machine machine, std::span<const FrameStep> steps,
                                   std::uint32_t code_bytes);

/// .eh_frame_hdr, the search table of the one FDE, to lie right behind eh_frame().
std::vector<std::uint8_t> eh_frame_hdr(std::span<const std::uint8_t> eh_frame, std::uint32_t code_bytes);

constexpr std::uint32_t eh_frame_offset(std::uint32_t code_bytes) { return (code_bytes + 7) / 8 * 8; }

}  // namespace fourge::jit
