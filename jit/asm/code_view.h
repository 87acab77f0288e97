// Finished code, as tools are told about it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace fourge::jit {

struct CodeView {
  std::string_view name;                       // the registry's
  std::span<const std::uint8_t> code;          // where it runs
  std::span<const std::uint8_t> eh_frame;      // behind it in memory, at eh_frame_offset(); may be empty
  std::span<const std::uint8_t> eh_frame_hdr;  // behind that
};

inline std::uint64_t address_of(std::span<const std::uint8_t> bytes) {
  return reinterpret_cast<std::uintptr_t>(bytes.data());
}

}  // namespace fourge::jit
