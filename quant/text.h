// Text for error messages: names from outside made safe to print, shapes, system errors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "fourge/error.h"

namespace fourge::quant {

/// Control bytes as \xNN, and at most 120 bytes: an error stays one readable line whatever a file calls its
/// tensors.
std::string printable(std::string_view text);

/// 'name', made printable.
std::string in_quotes(std::string_view name);

/// [2, 3]
std::string shape_text(std::span<const std::int64_t> shape);

/// Whether the bytes are well-formed UTF-8 (no overlong forms, no surrogates; Unicode 15, table 3-7).
bool is_utf8(std::string_view text);

/// kIo with "path: <strerror>"; a full disk or quota gets a reason of its own.
Failure io_failure(const char* reason, const std::filesystem::path& path, int error_number);

}  // namespace fourge::quant
