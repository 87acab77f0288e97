// Tells debuggers and profilers about finished code. GDB's interface is always served; FOURGE_JIT_PROFILE
// names others, separated by commas: perfmap, jitdump, vtune.
#pragma once

#include <cstdint>
#include <string_view>

#include "fourge/error.h"
#include "jit/asm/code_view.h"

namespace fourge::jit {

struct GdbEntry;

struct ProfileTargets {
  bool perfmap = false, jitdump = false, vtune = false;
  bool operator==(const ProfileTargets&) const = default;
};

/// kBadArgument for an unknown name.
Result<ProfileTargets> parse_profile_targets(std::string_view text);
/// FOURGE_JIT_PROFILE, read once.
const Result<ProfileTargets>& environment_profile_targets();

/// What was told about one piece of code; when it goes, the tools are told so.
class Announcement {
 public:
  Announcement() = default;
  Announcement(Announcement&& other) noexcept;
  Announcement& operator=(Announcement&& other) noexcept;
  ~Announcement() { withdraw(); }

  /// Failures of a tool that was asked for: kBadArgument (FOURGE_JIT_PROFILE), kIo, kNotFound.
  static Result<Announcement> make(const CodeView& code);
  /// Before the code's pages go.
  void withdraw();

 private:
  GdbEntry* gdb_ = nullptr;
  std::uint32_t vtune_ = 0;
};

}  // namespace fourge::jit
