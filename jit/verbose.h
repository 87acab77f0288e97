// FOURGE_VERBOSE=dispatch,jit,exec: what the library does, one line on standard error each. Nothing is
// printed unless the variable asks for it.
//
//   fourge: dispatch: gemm 1x64x64: gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__avx512_vnni: chosen
//   fourge: jit: gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__avx512_vnni: 2752 bytes at 0x7f12a4c5e000, 61.2 us
//   fourge: exec: gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__avx512_vnni: 1x64x64, threads 1: 3.1 us
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "fourge/error.h"

namespace fourge::jit {

enum class Topic : unsigned { dispatch = 1, jit = 2, exec = 4 };

/// Topics as bits; "all" is every one. kBadArgument for an unknown name.
Result<unsigned> parse_topics(std::string_view text);

/// Whether FOURGE_VERBOSE (read once) asks for the topic. A bad value is said once and asks for nothing.
/// Costs one load and a test.
bool verbose(Topic topic);

/// Writes "fourge: TOPIC: TEXT" with one system call: lines of threads do not mix.
void say(Topic topic, const std::string& text);

/// One line for each registered kernel, when asked for.
void say_decisions(const std::string& what, std::span<const std::string> decisions);

/// A kernel was generated; when asked for.
void say_generated(const std::string& name, std::span<const std::uint8_t> bytes,
                   std::chrono::steady_clock::time_point begin);

/// Says how long it lived. Describe: () -> std::string, called only when asked for.
template <class Describe>
class ExecTimer {
 public:
  explicit ExecTimer(Describe describe) : describe_(std::move(describe)) {
    if (verbose(Topic::exec)) begin_ = std::chrono::steady_clock::now();
  }
  ExecTimer(const ExecTimer&) = delete;
  ExecTimer& operator=(const ExecTimer&) = delete;
  ~ExecTimer() {
    if (verbose(Topic::exec)) finish(describe_(), begin_);
  }

 private:
  static void finish(const std::string& what, std::chrono::steady_clock::time_point begin);

  Describe describe_;
  std::chrono::steady_clock::time_point begin_;
};

std::string microseconds_since(std::chrono::steady_clock::time_point begin);  // "61.2 us"

template <class Describe>
void ExecTimer<Describe>::finish(const std::string& what, std::chrono::steady_clock::time_point begin) {
  say(Topic::exec, what + ": " + microseconds_since(begin));
}

}  // namespace fourge::jit
