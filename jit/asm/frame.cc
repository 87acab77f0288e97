#include "jit/asm/frame.h"

#include <cstring>

namespace fourge::jit {
namespace {

// DWARF 5, table 7.29.
enum Cfa : std::uint8_t {
  kNop = 0x00,
  kAdvance1 = 0x02,
  kAdvance2 = 0x03,
  kAdvance4 = 0x04,
  kOffsetExtended = 0x05,
  kRestoreExtended = 0x06,
  kRememberState = 0x0a,
  kRestoreState = 0x0b,
  kDefCfa = 0x0c,
  kAdvance = 0x40,  // | delta
  kOffset = 0x80,   // | register
  kRestore = 0xc0,  // | register
};

// Linux Standard Base 5.0, 10.5.1: relative to the field (or to .eh_frame_hdr), 4 signed bytes.
constexpr std::uint8_t kRelativeToField = 0x1b, kRelativeToHeader = 0x3b, kCount4 = 0x03;

constexpr int kDataAlignment = -8;  // of saved registers
constexpr std::size_t kCieIdOffset = 4;

class Bytes {
 public:
  void u8(unsigned value) { bytes_.push_back(static_cast<std::uint8_t>(value)); }
  void u16(std::uint32_t value) { little_endian(value, 2); }
  void u32(std::uint32_t value) { little_endian(value, 4); }
  void uleb(std::uint32_t value) {
    for (; value >= 0x80; value >>= 7) u8((value & 0x7f) | 0x80);
    u8(value);
  }
  void sleb_small(int value) { u8(static_cast<unsigned>(value) & 0x7f); }  // -64 .. 63

  std::size_t size() const { return bytes_.size(); }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

  // An entry starts with its length, which does not count itself; padded with kNop to 8 bytes.
  std::size_t begin_entry() {
    u32(0);
    return size();
  }
  void end_entry(std::size_t begin) {
    while (size() % 8 != 0) u8(kNop);
    const auto length = static_cast<std::uint32_t>(size() - begin);
    for (std::size_t i = 0; i < 4; ++i) bytes_[begin - 4 + i] = static_cast<std::uint8_t>(length >> 8 * i);
  }

 private:
  void little_endian(std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) u8(value >> 8 * i & 0xff);
  }
  std::vector<std::uint8_t> bytes_;
};

void define_cfa(Bytes& out, std::uint8_t reg, std::int32_t offset) {
  out.u8(kDefCfa);
  out.uleb(reg);
  out.uleb(static_cast<std::uint32_t>(offset));
}

void saved(Bytes& out, std::uint8_t reg, std::int32_t offset) {
  if (reg < 64) {
    out.u8(kOffset | reg);
  } else {
    out.u8(kOffsetExtended);
    out.uleb(reg);
  }
  out.uleb(static_cast<std::uint32_t>(offset / kDataAlignment));
}

void advance(Bytes& out, std::uint32_t delta) {
  if (delta == 0) return;
  if (delta < 0x40) {
    out.u8(kAdvance | delta);
  } else if (delta < 0x100) {
    out.u8(kAdvance1);
    out.u8(delta);
  } else if (delta < 0x10000) {
    out.u8(kAdvance2);
    out.u16(delta);
  } else {
    out.u8(kAdvance4);
    out.u32(delta);
  }
}

void instruction(Bytes& out, const FrameStep& step) {
  switch (step.kind) {
    case FrameStep::Kind::cfa:
      return define_cfa(out, step.reg, step.value);
    case FrameStep::Kind::saved:
      return saved(out, step.reg, step.value);
    case FrameStep::Kind::restored:
      if (step.reg < 64) return out.u8(kRestore | step.reg);
      out.u8(kRestoreExtended);
      return out.uleb(step.reg);
    case FrameStep::Kind::remember:
      return out.u8(kRememberState);
    case FrameStep::Kind::recall:
      return out.u8(kRestoreState);
  }
}

// At the first instruction: the call has pushed the return address, or left it in x30.
void common_entry(Bytes& out, Machine machine) {
  const bool x86 = machine == Machine::x86_64;
  const std::size_t begin = out.begin_entry();
  out.u32(0);  // this is a CIE
  out.u8(1);   // version
  for (const char c : {'z', 'R', '\0'}) out.u8(static_cast<unsigned>(c));
  out.uleb(1);  // code alignment
  out.sleb_small(kDataAlignment);
  out.uleb(x86 ? dwarf::kReturnAddress : dwarf::kX30);
  out.uleb(1);  // augmentation: how FDEs give addresses
  out.u8(kRelativeToField);
  define_cfa(out, x86 ? dwarf::kRsp : dwarf::kSp, x86 ? 8 : 0);
  if (x86) saved(out, dwarf::kReturnAddress, -8);
  out.end_entry(begin);
}

std::uint32_t relative(std::size_t to, std::size_t from) {
  return static_cast<std::uint32_t>(to) - static_cast<std::uint32_t>(from);
}

}  // namespace

std::vector<std::uint8_t> eh_frame(Machine machine, std::span<const FrameStep> steps,
                                   std::uint32_t code_bytes) {
  Bytes out;
  common_entry(out, machine);
  const std::size_t begin = out.begin_entry();
  out.u32(static_cast<std::uint32_t>(begin));  // back to the CIE, which is at 0
  out.u32(relative(0, eh_frame_offset(code_bytes) + out.size()));
  out.u32(code_bytes);
  out.uleb(0);  // no augmentation data
  std::uint32_t at = 0;
  for (const FrameStep& step : steps) {
    advance(out, step.offset - at);
    at = step.offset;
    instruction(out, step);
  }
  out.end_entry(begin);
  out.u32(0);  // terminator
  out.u32(0);  // to 8 bytes
  return out.take();
}

std::vector<std::uint8_t> eh_frame_hdr(std::span<const std::uint8_t> eh_frame, std::uint32_t code_bytes) {
  std::uint32_t cie_length = 0;
  std::memcpy(&cie_length, eh_frame.data(), sizeof cie_length);
  const std::size_t fde = kCieIdOffset + cie_length;
  const std::size_t header = eh_frame.size();  // from the section's begin
  Bytes out;
  out.u8(1);  // version
  out.u8(kRelativeToField);
  out.u8(kCount4);
  out.u8(kRelativeToHeader);
  out.u32(relative(0, header + out.size()));
  out.u32(1);  // entries
  out.u32(relative(0, eh_frame_offset(code_bytes) + header));
  out.u32(relative(fde, header));
  out.u32(0);  // to 8 bytes
  return out.take();
}

}  // namespace fourge::jit
