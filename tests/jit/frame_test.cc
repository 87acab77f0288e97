// .eh_frame and .eh_frame_hdr against a reader of the call frame instructions that is written here.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "jit/asm/elf_image.h"
#include "jit/asm/frame.h"
#include "jit/asm/listing.h"
#include "jit/asm/profile.h"
#include "jit/verbose.h"

namespace fourge::tests {
namespace {

using jit::FrameStep;

struct State {
  unsigned cfa_reg = 0;
  int cfa_offset = 0;
  std::map<unsigned, int> saved;
  bool operator==(const State&) const = default;
};

// Runs call frame instructions (DWARF 5, 6.4.2) up to the code offset `until`.
class Reader {
 public:
  Reader(const std::vector<std::uint8_t>& bytes, int data_alignment)
      : bytes_(bytes), alignment_(data_alignment) {}

  State run(std::size_t at, std::size_t end, std::uint64_t until, State state) {
    std::vector<State> stack;
    std::uint64_t location = 0;
    before_ = state;
    while (at < end) {
      const unsigned op = bytes_[at++];
      if (op >> 6 == 1) {
        location += op & 63;
      } else if (op >> 6 == 2) {
        state.saved[op & 63] = static_cast<int>(uleb(at)) * alignment_;
      } else if (op >> 6 == 3) {
        state.saved.erase(op & 63);
      } else if (op == 0x02) {
        location += bytes_[at++];
      } else if (op == 0x03) {
        location += bytes_[at] | unsigned{bytes_[at + 1]} << 8, at += 2;
      } else if (op == 0x05) {
        const unsigned reg = uleb(at);
        state.saved[reg] = static_cast<int>(uleb(at)) * alignment_;
      } else if (op == 0x06) {
        state.saved.erase(uleb(at));
      } else if (op == 0x0a) {
        stack.push_back(state);
      } else if (op == 0x0b) {
        state = stack.back();
        stack.pop_back();
      } else if (op == 0x0c) {
        state.cfa_reg = uleb(at);
        state.cfa_offset = static_cast<int>(uleb(at));
      } else if (op != 0) {
        ADD_FAILURE() << "unknown instruction " << op;
      }
      if (location > until) return before_;
      before_ = state;
    }
    return state;
  }

 private:
  unsigned uleb(std::size_t& at) {
    unsigned value = 0, shift = 0;
    for (;; shift += 7) {
      const unsigned byte = bytes_[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
  const std::vector<std::uint8_t>& bytes_;
  int alignment_;
  State before_;
};

std::uint32_t word(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

State state_at(const std::vector<std::uint8_t>& bytes, std::uint64_t location) {
  const std::size_t cie_end = 4 + word(bytes, 0), fde_end = cie_end + 4 + word(bytes, cie_end);
  Reader reader(bytes, -8);
  const std::size_t cie_program = 4 + 4 + 1 + 3 + 5, fde_program = cie_end + 4 + 4 + 4 + 4 + 1;
  const State initial = reader.run(cie_program, cie_end, ~std::uint64_t{0}, {});
  return Reader(bytes, -8).run(fde_program, fde_end, location, initial);
}

const FrameStep kSteps[] = {
    {1, FrameStep::Kind::cfa, jit::dwarf::kRsp, 16},
    {1, FrameStep::Kind::saved, jit::dwarf::kRbp, -16},
    {4, FrameStep::Kind::cfa, jit::dwarf::kRbp, 16},
    {70, FrameStep::Kind::saved, jit::dwarf::kRbx, -24},
    {5000, FrameStep::Kind::remember, 0, 0},
    {5000, FrameStep::Kind::cfa, jit::dwarf::kRsp, 8},
    {5000, FrameStep::Kind::restored, jit::dwarf::kRbp, 0},
    {5004, FrameStep::Kind::recall, 0, 0},
};
constexpr std::uint32_t kCodeBytes = 5013;

TEST(EhFrame, SaysWhatTheStepsSay) {
  const auto bytes = jit::eh_frame(jit::Machine::x86_64, kSteps, kCodeBytes);
  const int ra = jit::dwarf::kReturnAddress;
  EXPECT_EQ(state_at(bytes, 0), (State{7, 8, {{ra, -8}}}));
  EXPECT_EQ(state_at(bytes, 1), (State{7, 16, {{6, -16}, {ra, -8}}}));
  EXPECT_EQ(state_at(bytes, 69), (State{6, 16, {{6, -16}, {ra, -8}}}));
  EXPECT_EQ(state_at(bytes, 70), (State{6, 16, {{3, -24}, {6, -16}, {ra, -8}}}));
  EXPECT_EQ(state_at(bytes, 5003), (State{7, 8, {{3, -24}, {ra, -8}}}));
  EXPECT_EQ(state_at(bytes, 5004), state_at(bytes, 70));
}

TEST(EhFrame, AddressesAreRelativeToWhereItLies) {
  const auto bytes = jit::eh_frame(jit::Machine::x86_64, kSteps, kCodeBytes);
  const std::size_t fde = 4 + word(bytes, 0);
  const auto section = static_cast<std::int64_t>(jit::eh_frame_offset(kCodeBytes));
  const auto field = section + static_cast<std::int64_t>(fde) + 8;
  EXPECT_EQ(field + static_cast<std::int32_t>(word(bytes, fde + 8)), 0);  // the first instruction
  EXPECT_EQ(word(bytes, fde + 12), kCodeBytes);
  EXPECT_EQ(fde + 4 - word(bytes, fde + 4), 0u);           // back to the CIE
  EXPECT_EQ(word(bytes, fde + 4 + word(bytes, fde)), 0u);  // the terminator

  const auto header = jit::eh_frame_hdr(bytes, kCodeBytes);
  const auto base = section + static_cast<std::int64_t>(bytes.size());
  EXPECT_EQ(base + 4 + static_cast<std::int32_t>(word(header, 4)), section);
  EXPECT_EQ(word(header, 8), 1u);
  EXPECT_EQ(base + static_cast<std::int32_t>(word(header, 12)), 0);
  EXPECT_EQ(base + static_cast<std::int32_t>(word(header, 16)), section + static_cast<std::int64_t>(fde));
}

TEST(EhFrame, Aarch64StartsAtTheStackPointerWithTheReturnAddressInX30) {
  const FrameStep steps[] = {{4, FrameStep::Kind::cfa, jit::dwarf::kSp, 176},
                             {8, FrameStep::Kind::saved, jit::dwarf::kD8, -80}};
  const auto bytes = jit::eh_frame(jit::Machine::aarch64, steps, 64);
  EXPECT_EQ(state_at(bytes, 0), (State{31, 0, {}}));
  EXPECT_EQ(state_at(bytes, 8), (State{31, 176, {{72, -80}}}));
}

TEST(ProfileTargets, NamesAreListed) {
  EXPECT_EQ(*jit::parse_profile_targets(""), (jit::ProfileTargets{}));
  EXPECT_EQ(*jit::parse_profile_targets("perfmap"), (jit::ProfileTargets{.perfmap = true}));
  EXPECT_EQ(*jit::parse_profile_targets("vtune,jitdump"),
            (jit::ProfileTargets{.jitdump = true, .vtune = true}));
  for (const char* bad : {"perf", "perfmap jitdump", ",", "perfmap,,vtune"})
    EXPECT_EQ(jit::parse_profile_targets(bad).error(), Error::kBadArgument) << bad;
}

TEST(VerboseTopics, NamesAreListed) {
  EXPECT_EQ(*jit::parse_topics(""), 0u);
  EXPECT_EQ(*jit::parse_topics("jit,exec"), 6u);
  EXPECT_EQ(*jit::parse_topics("all"), 7u);
  EXPECT_EQ(jit::parse_topics("jit;exec").error(), Error::kBadArgument);
}

#if defined(__x86_64__)
TEST(Listing, LabelsRolesAndConstants) {
  const std::vector<std::uint8_t> bytes = {0x31, 0xc0, 0xff, 0xc0, 0x83, 0xf8, 0x05, 0x75,
                                           0xf9, 0xc3, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3f};
  KernelCode code;
  code.name = "count";
  code.isa = "avx512";
  code.bytes = bytes;
  code.registers = {{"rax, rsi", "count, limit"}, {"zmm0..3", "sums"}, {"zmm4, zmm5", "scratch"}};
  const std::string text = jit::annotate(code,
                                         "   0:\txor    eax,eax\n   2:\tinc    eax\n   4:\tcmp    eax,0x5\n"
                                         "   7:\tjne    0x2\n   9:\tret\n   a:\tadd    BYTE PTR [rax],al\n");
  EXPECT_NE(text.find("L1:\n     2:  inc    eax"), std::string::npos) << text;
  EXPECT_NE(text.find("     7:  jne    L1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("; count\n     "), std::string::npos) << text;
  EXPECT_NE(text.find("; constants, 4-byte words, little-endian\n     a: 00000000 3f80\n"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("BYTE PTR"), std::string::npos) << text;
  const std::string roles = jit::annotate(code, "   0:\tvpaddd ymm1,zmm5,[rsi+rax*4]\n   6:\tret\n");
  EXPECT_NE(roles.find("; sums <- scratch | limit | count\n"), std::string::npos) << roles;
}
#endif

}  // namespace
}  // namespace fourge::tests
