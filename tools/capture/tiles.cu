#include <cstring>

#include "safetensors_writer.h"
#include "tiles.h"

namespace fourge::capture {
namespace {

// ---- packing ----

// Appends `bits` low bits of each of count codes, first code lowest, in whole bytes.
void append_packed(std::vector<uint8_t>& out, const uint32_t* codes, int count, int bits) {
  uint64_t pending = 0;
  int filled = 0;
  for (int i = 0; i < count; ++i) {
    pending |= uint64_t(codes[i]) << filled;
    for (filled += bits; filled >= 8; filled -= 8, pending >>= 8) out.push_back(uint8_t(pending));
  }
}

// A row as a vector file stores it. The bits that the format ignores are random.
void append_stored(std::vector<uint8_t>& out, const Format& format, const uint32_t* codes, int count,
                   Random& random) {
  for (int i = 0; i < count; ++i) {
    if (format.stored_bits == 4) {
      out.push_back(uint8_t(codes[i] | codes[i + 1] << 4));
      ++i;
      continue;
    }
    uint32_t word = codes[i] << format.ignored_bits;
    if (format.ignored_bits > 0) word |= uint32_t(random.bits()) & ((1u << format.ignored_bits) - 1);
    append_packed(out, &word, 1, format.stored_bits);
  }
}

void append_row(std::vector<uint8_t>& out, const Format& format, RowLayout layout, const uint32_t* codes,
                int count) {
  const int bits = format.sign_bits + format.exponent_bits + format.fraction_bits;
  if (layout == RowLayout::kByteElements) {
    for (int i = 0; i < count; ++i) out.push_back(uint8_t(codes[i] << (bits == 4 ? 2 : 0)));
    return;
  }
  for (int i = 0; i < count; i += 16) {
    const size_t start = out.size();
    append_packed(out, codes + i, 16, bits);
    out.resize(start + 16);
  }
}

void append_tile(HostTiles& tiles, const Instruction& op, const TileCodes& codes, Random& random) {
  for (int row = 0; row < op.m; ++row) {
    const uint32_t* from = codes.a.data() + row * op.k;
    append_stored(tiles.a, *op.a, from, op.k, random);
    if (op.layout != RowLayout::kAsStored) append_row(tiles.a_rows, *op.a, op.layout, from, op.k);
  }
  for (int column = 0; column < op.n; ++column) {
    const uint32_t* from = codes.b.data() + column * op.k;
    append_stored(tiles.b, *op.b, from, op.k, random);
    if (op.layout != RowLayout::kAsStored) append_row(tiles.b_rows, *op.b, op.layout, from, op.k);
  }
  append_packed(tiles.c, codes.c.data(), op.m * op.n, op.d->stored_bits);
  tiles.a_scales.insert(tiles.a_scales.end(), codes.a_scales.begin(), codes.a_scales.end());
  tiles.b_scales.insert(tiles.b_scales.end(), codes.b_scales.begin(), codes.b_scales.end());
  ++tiles.tiles;
}

// FNV-1a, so that every instruction has operands of its own.
uint64_t hash(const std::string& text) {
  uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

Random tile_random(const Instruction& op, uint64_t seed, int tile) {
  Random mix(seed ^ hash(op.ptx + op.a->name + op.b->name));
  return Random(mix.bits() + uint64_t(tile) * 0xd1342543de82ef95);
}

// ---- device memory ----

class DeviceBuffer {
 public:
  explicit DeviceBuffer(size_t bytes) : status_(cudaMalloc(&data_, bytes > 0 ? bytes : 1)) {}
  explicit DeviceBuffer(const std::vector<uint8_t>& host) : DeviceBuffer(host.size()) {
    if (status_ == cudaSuccess) status_ = cudaMemcpy(data_, host.data(), host.size(), cudaMemcpyHostToDevice);
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() { cudaFree(data_); }
  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  cudaError_t status() const { return status_; }

 private:
  void* data_ = nullptr;
  cudaError_t status_;
};

std::string hex(uint64_t value, int digits) {
  std::string text(size_t(digits), '0');
  for (int i = digits; i-- > 0; value >>= 4) text[size_t(i)] = "0123456789abcdef"[value & 15];
  return text;
}

}  // namespace

HostTiles draw_tiles(const Instruction& op, const std::vector<Mode>& modes, int tiles, uint64_t seed) {
  HostTiles host;
  for (int i = 0; i < tiles; ++i) {
    const Mode mode = modes[size_t(i) % modes.size()];
    Random random = tile_random(op, seed, i);
    append_tile(host, op, draw_tile(op, mode, random), random);
    host.mode.push_back(uint8_t(mode));
  }
  return host;
}

std::string run_on_gpu(const Instruction& op, HostTiles& tiles) {
  const bool stored = op.layout == RowLayout::kAsStored;
  const DeviceBuffer a(stored ? tiles.a : tiles.a_rows), b(stored ? tiles.b : tiles.b_rows), c(tiles.c),
      d(tiles.c.size());
  const DeviceBuffer a_scales(tiles.a_scales), b_scales(tiles.b_scales);
  cudaError_t status = cudaSuccess;
  for (const DeviceBuffer* buffer : {&a, &b, &c, &d, &a_scales, &b_scales})
    if (status == cudaSuccess) status = buffer->status();
  // An output that the kernel does not write shows as 0xa5a5...
  if (status == cudaSuccess) status = cudaMemset(d.data(), 0xa5, tiles.c.size());
  if (status == cudaSuccess) {
    op.launch(op, {a.data(), b.data(), a_scales.data(), b_scales.data(), c.data(), d.data()}, tiles.tiles);
    status = cudaGetLastError();
  }
  tiles.d.resize(tiles.c.size());
  if (status == cudaSuccess)
    status = cudaMemcpy(tiles.d.data(), d.data(), tiles.d.size(), cudaMemcpyDeviceToHost);
  return status == cudaSuccess ? "" : cudaGetErrorString(status);
}

std::string self_check(const Instruction& op, uint64_t seed) {
  constexpr int kTiles = 64;
  HostTiles tiles;
  std::vector<TileCodes> codes;
  for (int i = 0; i < kTiles; ++i) {
    Random random = tile_random(op, ~seed, i);
    codes.push_back(draw_exact_tile(op, random));
    append_tile(tiles, op, codes.back(), random);
  }
  if (const std::string error = run_on_gpu(op, tiles); !error.empty()) return error;
  const size_t bytes = size_t(op.d_bytes());
  for (int i = 0; i < kTiles * op.m * op.n; ++i) {
    const int tile = i / (op.m * op.n), row = i / op.n % op.m, column = i % op.n;
    uint32_t got = 0;
    std::memcpy(&got, tiles.d.data() + size_t(i) * bytes, bytes);
    const double sum = dot(op, codes[size_t(tile)], row, column);
    const uint32_t expected = encode_toward_zero(*op.d, sum == 0 ? 0.0 : sum);
    if (got != expected)
      return "wrong result on exact operands, tile " + std::to_string(tile) + " row " + std::to_string(row) +
             " column " + std::to_string(column) + ": got " + hex(got, 2 * op.d_bytes()) + ", expected " +
             hex(expected, 2 * op.d_bytes());
  }
  return "";
}

std::string write_vectors(const std::string& path, const Instruction& op, const HostTiles& tiles,
                          const Provenance& provenance) {
  const auto count = uint64_t(tiles.tiles), m = uint64_t(op.m), n = uint64_t(op.n);
  const auto per_row = uint64_t(op.scales_per_row());
  const char* const words = op.d_bytes() == 4 ? "U32" : "U16";
  std::vector<TensorView> tensors = {
      {"a", "U8", {count, m, uint64_t(op.stored_row_bytes(*op.a))}, tiles.a.data(), tiles.a.size()},
      {"b", "U8", {count, n, uint64_t(op.stored_row_bytes(*op.b))}, tiles.b.data(), tiles.b.size()},
      {"c", words, {count, m, n}, tiles.c.data(), tiles.c.size()},
      {"d", words, {count, m, n}, tiles.d.data(), tiles.d.size()}};
  if (op.scale) {
    tensors.push_back({"a_scales", "U8", {count, m, per_row}, tiles.a_scales.data(), tiles.a_scales.size()});
    tensors.push_back({"b_scales", "U8", {count, n, per_row}, tiles.b_scales.data(), tiles.b_scales.size()});
  }
  tensors.push_back({"mode", "U8", {count}, tiles.mode.data(), tiles.mode.size()});
  return write_safetensors(path,
                           {{"format", "tensor-core-vectors-1"},
                            {"model", provenance.model},
                            {"a_format", op.a->name},
                            {"b_format", op.b->name},
                            {"m", std::to_string(op.m)},
                            {"n", std::to_string(op.n)},
                            {"k", std::to_string(op.k)},
                            {"source", provenance.source},
                            {"note", provenance.note}},
                           tensors);
}

}  // namespace fourge::capture
