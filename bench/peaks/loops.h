// The loops whose speed is called a peak: registers only for arithmetic, loads only for reading.
#pragma once

#include <cstdint>

#include "fourge/error.h"
#include "jit/asm/executable_code.h"
#include "jit/cpu.h"

namespace fourge::bench {

/// What every loop takes; each reads only what it needs.
struct LoopArgs {
  const std::uint8_t* source = nullptr;  // 64-byte aligned
  std::uint8_t* destination = nullptr;   // 64-byte aligned
  std::int64_t bytes = 0;                // a multiple of kLoopBytes
  std::int64_t iterations = 1;           // >= 1
};
using Loop = void (*)(const LoopArgs*);
inline constexpr std::int64_t kLoopBytes = 4096;

/// Arithmetic units. Operations count multiplications and additions.
enum class Unit : std::uint8_t { fma_f32, vnni_int8, amx_bf16, amx_int8 };
inline constexpr Unit kUnits[] = {Unit::fma_f32, Unit::vnni_int8, Unit::amx_bf16, Unit::amx_int8};

/// Null when this machine has the unit, else why not.
const char* missing_unit(Unit unit, const jit::CpuFeatures& features);

/// A loop over one unit, its operands in registers.
struct UnitLoop {
  jit::ExecutableCode code;
  std::int64_t operations = 0;  // of one iteration
  Loop function() const { return code.entry<Loop>(); }
};
/// source: 1,024 bytes of operands for the tile units. kUnsupportedIsa when the unit is missing.
/// FOURGE_MAX_ISA below avx512 makes fma_f32 the unit of AVX2: 256 bits wide.
Result<UnitLoop> make_unit_loop(Unit unit);

/// A chain of integer multiplications, each waiting for the one before.
struct ClockLoop {
  jit::ExecutableCode code;
  std::int64_t cycles = 0;  // of one iteration: 3 a multiplication (Intel since 2008, AMD since 2017)
  Loop function() const { return code.entry<Loop>(); }
};
Result<ClockLoop> make_clock_loop();

/// How `bytes` bytes are read, copied or written: in `streams` equal parts side by side.
struct MemoryLoopSpec {
  int streams = 1;
  int prefetch = 0;           // bytes ahead; 0: left to the hardware
  bool copy = false;          // source -> destination
  bool store = false;         // to the destination only
  bool non_temporal = false;  // stores that pass the caches by

  bool operator==(const MemoryLoopSpec&) const = default;
};
/// With the widest vectors of this machine. kUnsupportedIsa without AVX2.
Result<jit::ExecutableCode> make_memory_loop(const MemoryLoopSpec& spec);

/// Reading in C++, for machines that have no generated loop.
void read_portable(const LoopArgs* args);

}  // namespace fourge::bench
