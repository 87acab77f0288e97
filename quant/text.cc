#include "quant/text.h"

#include <cerrno>
#include <system_error>

namespace fourge::quant {

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 120;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (out.size() >= kLongest) return out + "...";
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string in_quotes(std::string_view name) { return "'" + printable(name) + "'"; }

std::string shape_text(std::span<const std::int64_t> shape) {
  constexpr std::size_t kMostExtents = 8;
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size() && i < kMostExtents; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + (shape.size() > kMostExtents ? ", ...]" : "]");
}

bool is_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t i = 0;
  while (i < text.size()) {
    const unsigned lead = byte(i);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length == 0 || lead > 0xf4 || i + length > text.size()) return false;
    for (std::size_t j = 1; j < length; ++j)
      if ((byte(i + j) & 0xc0) != 0x80) return false;
    // The second byte excludes overlong forms (E0, F0), surrogates (ED) and what lies above U+10FFFF (F4).
    const unsigned second = length > 1 ? byte(i + 1) : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
      return false;
    }
    i += length;
  }
  return true;
}

Failure io_failure(const char* reason, const std::filesystem::path& path, int error_number) {
  if (error_number == ENOSPC || error_number == EDQUOT) reason = "the disk is full";
  return {Error::kIo, reason,
          printable(path.string()) + ": " + std::generic_category().message(error_number)};
}

}  // namespace fourge::quant
