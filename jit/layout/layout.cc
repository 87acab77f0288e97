#include "fourge/layout.h"

#include <algorithm>
#include <cstring>

#include "jit/layout/layout_kernel.h"
#include "jit/parallel.h"

namespace fourge {
namespace {

using jit::is_scales;
using jit::LayoutArgs;
using jit::scale_layout_of;

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 40;
constexpr std::int64_t kTaskBytes = std::int64_t{1} << 16;
constexpr std::int64_t kTileRows = 128;  // what one task of scales covers, in rows

std::int64_t block_bytes(const LayoutSpec& spec) {
  return spec.from == ByteLayout::halves_32 || spec.to == ByteLayout::halves_32 ? 16 : 8;
}

Status check_operands(const LayoutSpec& spec, const LayoutOperands& o) {
  const std::string where = std::to_string(o.rows) + " x " + std::to_string(o.columns);
  if (o.rows < 0 || o.columns < 0 || o.rows > kMaxExtent || o.columns > kMaxExtent)
    return {Error::kBadShape, "expected extents from 0 to 2^40", where};
  if (o.rows != 0 && o.columns > (std::int64_t{1} << 60) / o.rows)
    return {Error::kBadShape, "expected at most 2^60 bytes", where};
  if (!is_scales(spec.from) && o.rows * o.columns % block_bytes(spec) != 0)
    return {Error::kBadShape, "expected codes in whole blocks", where + " bytes"};
  if (o.rows == 0 || o.columns == 0) return {};
  if (o.from == nullptr || o.to == nullptr) return {Error::kBadArgument, "null input or output"};
  if (is_scales(spec.from) && o.from == o.to)
    return {Error::kBadArgument, "scales cannot change their layout in place"};
  return {};
}

// Scales of 128 rows at most.
class RowOfTiles {
 public:
  RowOfTiles(const LayoutSpec& spec, const jit::LayoutKernel& kernel, const LayoutOperands& o,
             std::int64_t first_row)
      : spec_(spec), kernel_(kernel), o_(o), first_row_(first_row) {}

  void run() const {
    const bool beside_linear = spec_.from == ByteLayout::linear || spec_.to == ByteLayout::linear;
    const std::int64_t whole_tiles = o_.columns / 4, rows = std::min(kTileRows, o_.rows - first_row_);
    std::int64_t rows_done = 0, tiles_done = 0;
    if (!beside_linear) {
      rows_done = rows == kTileRows && whole_tiles > 0 ? kTileRows : 0;
      tiles_done = whole_tiles;
      if (rows_done > 0) kernel_.run(args(0, tiles_done));
    } else if (const std::int64_t units = whole_tiles / jit::kUnitTiles; units > 0) {
      tiles_done = units * jit::kUnitTiles;
      const bool tall = spec_.from == ByteLayout::swizzled_128x4 || spec_.to == ByteLayout::swizzled_128x4;
      rows_done = tall ? rows / kTileRows * kTileRows : rows / jit::kUnitRows * jit::kUnitRows;
      if (tall && kernel_.takes_bands()) {
        if (rows_done > 0) kernel_.run(args(0, units));
      } else {
        const std::int64_t step = tall ? 4 : jit::kUnitRows;  // a unit of 128x4: rows r..r + 3, and 32 apart
        for (std::int64_t r = 0; r < (tall ? rows_done / 4 : rows_done); r += step)
          kernel_.run(args(r, units));
      }
    }
    const std::int64_t tiles = (o_.columns + 3) / 4;
    const std::int64_t padded = padded_scale_rows(scale_layout_of(spec_.to), o_.rows);
    move_words(0, rows_done, tiles_done, tiles);
    move_words(rows_done, std::min(kTileRows, padded - first_row_), 0, tiles);
  }

 private:
  LayoutArgs args(std::int64_t row, std::int64_t units) const {
    const auto offset = [&](ByteLayout layout) {
      return scale_offset(scale_layout_of(layout), first_row_ + row, 0, o_.columns);
    };
    return {o_.from + offset(spec_.from), o_.to + offset(spec_.to), o_.columns, (o_.columns + 3) / 4 * 32,
            units};
  }

  // Rows and column tiles one word at a time, with what is short or missing at the edges.
  void move_words(std::int64_t row, std::int64_t row_end, std::int64_t tile_begin,
                  std::int64_t tile_end) const {
    const ScaleLayout from = scale_layout_of(spec_.from), to = scale_layout_of(spec_.to);
    for (std::int64_t r = first_row_ + row; r < first_row_ + row_end; ++r) {
      for (std::int64_t tile = tile_begin; tile < tile_end; ++tile) {
        const auto width = static_cast<std::size_t>(std::min<std::int64_t>(4, o_.columns - 4 * tile));
        std::uint8_t word[4] = {};
        if (r < o_.rows) std::memcpy(word, o_.from + scale_offset(from, r, 4 * tile, o_.columns), width);
        std::memcpy(o_.to + scale_offset(to, r, 4 * tile, o_.columns), word,
                    to == ScaleLayout::linear ? width : 4);
      }
    }
  }

  const LayoutSpec& spec_;
  const jit::LayoutKernel& kernel_;
  const LayoutOperands& o_;
  std::int64_t first_row_;
};

void convert_codes(const jit::LayoutKernel& kernel, const std::uint8_t* from, std::uint8_t* to,
                   std::int64_t bytes) {
  const std::int64_t whole = bytes / jit::kCodeBytes, done = whole * jit::kCodeBytes;
  if (whole > 0) kernel.run({from, to, 0, 0, whole});
  if (done == bytes) return;
  std::uint8_t tail[jit::kCodeBytes] = {};
  std::memcpy(tail, from + done, static_cast<std::size_t>(bytes - done));
  kernel.run({tail, tail, 0, 0, 1});
  std::memcpy(to + done, tail, static_cast<std::size_t>(bytes - done));
}

}  // namespace

const char* name_of(ByteLayout layout) {
  switch (layout) {
    case ByteLayout::linear:
    case ByteLayout::swizzled_128x4:
    case ByteLayout::swizzled_8x4:
      return name_of(scale_layout_of(layout));
    case ByteLayout::pairs:
      return "pairs";
    case ByteLayout::halves_16:
      return "halves_16";
    case ByteLayout::halves_32:
      return "halves_32";
  }
  return "";
}

Status check(const LayoutSpec& spec) {
  const std::string where = std::string(name_of(spec.from)) + " to " + name_of(spec.to);
  if (is_scales(spec.from) != is_scales(spec.to))
    return {Error::kBadArgument, "one layout is of scales, the other of codes", where};
  if (spec.from == spec.to) return {Error::kBadArgument, "the layouts are the same", where};
  if (!is_scales(spec.from) && spec.from != ByteLayout::pairs && spec.to != ByteLayout::pairs)
    return {Error::kBadArgument, "expected pairs on one side", where};
  return {};
}

std::string kernel_name(const LayoutSpec& spec) {
  return std::string("layout_") + name_of(spec.to) + "_" + name_of(spec.from);
}

Result<LayoutConverter> LayoutConverter::create(const LayoutSpec& spec, const KernelOptions& options) {
  if (const Status valid = check(spec); !valid.ok()) return valid.failure();
  auto choice = jit::choose(jit::layout_kernels(), spec, options);
  if (!choice.ok()) return choice.failure();
  LayoutConverter converter;
  converter.spec_ = spec;
  converter.kernel_ = std::move(choice->kernel);
  converter.decisions_ = std::move(choice->decisions);
  return converter;
}

KernelCode LayoutConverter::code() const { return kernel_->code(); }

Status LayoutConverter::run(const LayoutOperands& o, const RunOptions& options) const {
  if (const Status valid = check_operands(spec_, o); !valid.ok()) return valid;
  if (options.threads < 0) return {Error::kBadArgument, "threads must not be negative"};
  if (o.rows == 0 || o.columns == 0) return {};
  if (is_scales(spec_.from)) {
    jit::for_each_task(options.threads, (o.rows + kTileRows - 1) / kTileRows,
                       [&](std::int64_t task) { RowOfTiles(spec_, *kernel_, o, task * kTileRows).run(); });
    return {};
  }
  const std::int64_t bytes = o.rows * o.columns;
  jit::for_each_task(options.threads, (bytes + kTaskBytes - 1) / kTaskBytes, [&](std::int64_t task) {
    const std::int64_t first = task * kTaskBytes;
    convert_codes(*kernel_, o.from + first, o.to + first, std::min(kTaskBytes, bytes - first));
  });
  return {};
}

namespace jit {

std::span<const LayoutKernelEntry> layout_kernels() {
  static constexpr LayoutKernelEntry kKernels[] = {
#define FOURGE_LAYOUT_KERNEL(isa_variant, isa, refusal, make) {isa_variant, isa, refusal, make},
#include "jit/kernels.inc"
  };
  return kKernels;
}

}  // namespace jit
}  // namespace fourge
