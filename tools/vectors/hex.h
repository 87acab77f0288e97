// Bytes as text.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>

namespace fourge::vectors {

/// Two digits a byte, the first byte first.
inline std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace fourge::vectors
