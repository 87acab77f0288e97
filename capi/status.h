// Between C structs and C++: sizes of structs, the last error, exceptions kept inside.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <string>

#include "fourge.h"
#include "fourge/error.h"

namespace fourge::capi {

/// Keeps the text for fourge_last_error() and gives the code.
fourge_status fail(const Failure& failure) noexcept;
inline fourge_status fail(Error error, const char* reason, const char* where) noexcept {
  return fail(Failure{error, reason, where});
}
inline fourge_status done(const Status& status) noexcept {
  return status.ok() ? FOURGE_OK : fail(status.failure());
}

/// Runs `work`, which gives a fourge_status. std::bad_alloc becomes FOURGE_OUT_OF_MEMORY.
template <class Work>
fourge_status guarded(Work&& work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return FOURGE_OUT_OF_MEMORY;
  }
}

/// Whether the bytes of a caller's struct beyond what this library knows are zero.
inline bool unknown_fields_are_zero(const void* given, std::size_t known, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(given);
  return std::all_of(bytes + known, bytes + size, [](unsigned char byte) { return byte == 0; });
}

/// A caller's struct as this library knows it: the struct itself where the sizes agree, else a copy over the
/// defaults. kFirstSize: the size in the first release, below which nothing is valid.
template <class Struct, std::size_t kFirstSize = sizeof(Struct)>
class Input {
 public:
  /// `where` names the argument.
  Input(const Struct* given, const Struct& defaults, const char* where) {
    if (given == nullptr) {
      failure_ = {Error::kBadArgument, "null pointer", where};
    } else if (given->struct_size == sizeof(Struct)) {
      known_ = given;
    } else {
      adapt(given, defaults, where);
    }
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  bool ok() const { return known_ != nullptr; }
  const Failure& failure() const { return failure_; }
  fourge_status fail() const noexcept { return capi::fail(failure_); }
  const Struct* operator->() const { return known_; }
  const Struct& operator*() const { return *known_; }

 private:
  void adapt(const Struct* given, const Struct& defaults, const char* where) {
    const std::size_t size = given->struct_size;
    constexpr std::size_t kAbsurd = 4096;
    if (size < kFirstSize || size > kAbsurd) {
      failure_ = {Error::kBadArgument, "struct_size is not set: initialise with the INIT macro", where};
    } else if (size > sizeof(Struct) && !unknown_fields_are_zero(given, sizeof(Struct), size)) {
      failure_ = {Error::kBadArgument, "the struct sets fields that this library does not know yet", where};
    } else {
      copy_ = defaults;
      std::memcpy(&copy_, given, std::min(size, sizeof(Struct)));
      copy_.struct_size = sizeof(Struct);
      known_ = &copy_;
    }
  }

  const Struct* known_ = nullptr;
  Struct copy_;
  Failure failure_;
};

/// Fills a caller's struct up to its struct_size, which stays. Null, or a size that is not set: refused.
template <class Struct>
fourge_status give(Struct* out, Struct value, const char* where) noexcept {
  if (out == nullptr) return fail(Error::kBadArgument, "null pointer", where);
  const std::size_t size = out->struct_size;
  if (size < sizeof(std::size_t) * 2)
    return fail(Error::kBadArgument, "struct_size is not set: initialise with the INIT macro", where);
  value.struct_size = size;
  std::memcpy(out, &value, std::min(size, sizeof(Struct)));
  return FOURGE_OK;
}

/// An integer of the C interface as an enumerator: kBadArgument outside first..last.
template <class Enum>
Status take(int value, Enum last, const char* where, Enum& out) {
  if (value < 0 || value > static_cast<int>(last))
    return {Error::kBadArgument, "no such enumerator", std::string(where) + " " + std::to_string(value)};
  out = static_cast<Enum>(value);
  return {};
}

/// A flag: 0 or 1.
inline Status take_flag(int value, const char* where, bool& out) {
  if (value != 0 && value != 1)
    return {Error::kBadArgument, "expected 0 or 1", std::string(where) + " " + std::to_string(value)};
  out = value != 0;
  return {};
}

}  // namespace fourge::capi
