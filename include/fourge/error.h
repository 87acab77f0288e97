// Errors without exceptions: an enum, a static reason, and where it happened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace fourge {

enum class Error : std::uint8_t {
  kOk,
  kBadArgument,        ///< an option or value outside its range
  kBadShape,           ///< sizes that do not fit each other, or are not multiples of a block
  kUnsupportedFormat,  ///< a format that this operation does not take
  kUnsupportedIsa,     ///< the CPU, the operating system or FOURGE_MAX_ISA rules it out
  kNotFound,           ///< a file or a tensor in it does not exist
  kBadFile,            ///< a file whose content contradicts its format
  kIo,                 ///< the operating system refused to read or write
  kOutOfMemory,        ///< an allocation failed or would be absurd
  kCodegen,            ///< the assembler refused: a bug in a generator
};

constexpr const char* name_of(Error error) {
  switch (error) {
    case Error::kOk:
      return "ok";
    case Error::kBadArgument:
      return "bad argument";
    case Error::kBadShape:
      return "bad shape";
    case Error::kUnsupportedFormat:
      return "unsupported format";
    case Error::kUnsupportedIsa:
      return "unsupported instruction set";
    case Error::kNotFound:
      return "not found";
    case Error::kBadFile:
      return "bad file";
    case Error::kIo:
      return "input/output error";
    case Error::kOutOfMemory:
      return "out of memory";
    case Error::kCodegen:
      return "code generation failed";
  }
  return "unknown error";
}

/// What went wrong: the kind, a static sentence that says what was expected, and (for outside data) where:
/// file, tensor, offset, the offending value.
struct Failure {
  Error error = Error::kBadArgument;
  const char* reason = "";
  std::string where;

  /// "bad file: model.safetensors: header length 99 exceeds the file size 16"
  std::string message() const {
    std::string text = name_of(error);
    if (!where.empty()) text += ": " + where;
    if (reason != nullptr && *reason != '\0') text += std::string(": ") + reason;
    return text;
  }
};

/// A value, or the Failure that explains why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Failure failure)
      : state_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error, const char* reason, std::string where = {})
      : Result(Failure{error, reason, std::move(where)}) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }

  Error error() const { return ok() ? Error::kOk : failure().error; }
  const Failure& failure() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Failure> state_;
};

/// Success, or a Failure.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Failure failure) : failure_(std::move(failure)) {}  // NOLINT(google-explicit-constructor)
  Status(Error error, const char* reason, std::string where = {})
      : failure_(Failure{error, reason, std::move(where)}) {}

  bool ok() const { return !failure_.has_value(); }
  explicit operator bool() const { return ok(); }
  Error error() const { return ok() ? Error::kOk : failure_->error; }
  const Failure& failure() const { return *failure_; }

 private:
  std::optional<Failure> failure_;
};

}  // namespace fourge
