#include "jit/asm/profile.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "jit/asm/gdb_jit.h"
#include "jit/asm/jitdump.h"
#include "jit/asm/perf_map.h"
#include "jit/asm/vtune.h"

namespace fourge::jit {

Result<ProfileTargets> parse_profile_targets(std::string_view text) {
  ProfileTargets targets;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word == "perfmap") {
      targets.perfmap = true;
    } else if (word == "jitdump") {
      targets.jitdump = true;
    } else if (word == "vtune") {
      targets.vtune = true;
    } else {
      return {Error::kBadArgument, "expected perfmap, jitdump or vtune, separated by commas",
              "FOURGE_JIT_PROFILE '" + std::string(word) + "'"};
    }
  }
  return targets;
}

const Result<ProfileTargets>& environment_profile_targets() {
  static const Result<ProfileTargets> targets = [] {
    const char* text = std::getenv("FOURGE_JIT_PROFILE");
    return parse_profile_targets(text == nullptr ? "" : text);
  }();
  return targets;
}

Announcement::Announcement(Announcement&& other) noexcept { *this = std::move(other); }

Announcement& Announcement::operator=(Announcement&& other) noexcept {
  std::swap(gdb_, other.gdb_);
  std::swap(vtune_, other.vtune_);
  return *this;
}

Result<Announcement> Announcement::make(const CodeView& code) {
  const Result<ProfileTargets>& targets = environment_profile_targets();
  if (!targets.ok()) return targets.failure();
  if (targets->perfmap) {
    if (const Status written = append_to_perf_map(code); !written.ok()) return written.failure();
  }
  if (targets->jitdump) {
    if (const Status written = append_to_jitdump(code); !written.ok()) return written.failure();
  }
  Announcement announcement;
  if (targets->vtune) {
    const Result<std::uint32_t> id = announce_to_vtune(code);
    if (!id.ok()) return id.failure();
    announcement.vtune_ = *id;
  }
  announcement.gdb_ = register_with_gdb(code);
  return announcement;
}

void Announcement::withdraw() {
  if (gdb_ != nullptr) unregister_from_gdb(std::exchange(gdb_, nullptr));
  if (vtune_ != 0) withdraw_from_vtune(std::exchange(vtune_, 0));
}

}  // namespace fourge::jit
