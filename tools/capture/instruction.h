// One tensor-core instruction as the capture program sees it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>
#include <vector>

#include "format.h"

namespace fourge::capture {

enum class Family {
  kMmaSync,       // mma_sync.cu: any capability from 8.0, fp8 from 8.9
  kWgmma,         // wgmma.cu: 9.0
  kMmaSyncSm120,  // mma_sync_sm120.cu: 12.x (kind::f8f6f4 and block_scale)
  kTcgen05,       // tcgen05.cu: 10.x
};

// How the elements of one row of A (one column of B) lie in the bytes that the instruction takes.
enum class RowLayout {
  kAsStored,       // as in the vector file
  kByteElements,   // every element in a byte of its own: FP6 in bits 5:0, E2M1 in bits 5:2 (mma.sync f8f6f4)
  kSixteenGroups,  // 16 packed elements at the start of every 16 bytes (tcgen05 f8f6f4)
};

// Tiles in device memory; tile i lies i times the size of a tile further. c and d are row-major words of the
// accumulator's format; a and b are rows of the instruction's bytes (RowLayout), b one row for each column of
// B.
struct DeviceTiles {
  const uint8_t* a = nullptr;
  const uint8_t* b = nullptr;
  const uint8_t* a_scales = nullptr;  // [tiles, m, k / block]
  const uint8_t* b_scales = nullptr;  // [tiles, n, k / block]
  const uint8_t* c = nullptr;
  uint8_t* d = nullptr;
};

struct Instruction {
  Family family;
  std::string ptx;  // the mnemonic, as the assembler gets it
  int m, n, k;
  const Format* a;
  const Format* b;
  const Format* d;                // of C and D
  const Format* scale = nullptr;  // null: not block-scaled
  int block = 0;                  // products per scale
  RowLayout layout = RowLayout::kAsStored;
  uint32_t descriptor = 0;  // tcgen05: PTX "instruction descriptor"
  void (*launch)(const Instruction&, const DeviceTiles&, int tiles) = nullptr;

  // Bytes of one row of A as the instruction takes it, and as it is stored in a vector file.
  int row_bytes() const { return layout == RowLayout::kAsStored ? k * a->stored_bits / 8 : k; }
  int stored_row_bytes(const Format& format) const { return k * format.stored_bits / 8; }
  int scales_per_row() const { return scale ? k / block : 0; }
  int d_bytes() const { return d->stored_bits / 8; }
};

void add_mma_sync(std::vector<Instruction>& list);
void add_wgmma(std::vector<Instruction>& list);
void add_mma_sync_sm120(std::vector<Instruction>& list);
void add_tcgen05(std::vector<Instruction>& list);

}  // namespace fourge::capture
