// Sequences of instructions that are emitted mixed with each other.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace fourge::jit {

/// Emitters in program order; of one instruction each, where the mixture is to be fine.
using InstructionStream = std::vector<std::function<void()>>;

inline void append(InstructionStream& stream, const InstructionStream& more) {
  stream.insert(stream.end(), more.begin(), more.end());
}

inline void emit(const InstructionStream& stream) {
  for (const auto& instruction : stream) instruction();
}

/// Emits the streams so that each is spread evenly over the whole: after a fraction of all, that fraction of
/// each stream has been emitted, but for one emitter. Registers and memory must allow it.
inline void emit_interleaved(std::span<const InstructionStream> streams) {
  std::vector<std::size_t> emitted(streams.size());
  while (true) {
    const InstructionStream* next = nullptr;
    std::size_t next_index = 0;
    for (std::size_t s = 0; s < streams.size(); ++s) {
      if (emitted[s] == streams[s].size()) continue;
      // emitted / size as fractions: the stream that is furthest behind.
      if (next == nullptr || emitted[s] * next->size() < emitted[next_index] * streams[s].size()) {
        next = &streams[s];
        next_index = s;
      }
    }
    if (next == nullptr) return;
    (*next)[emitted[next_index]++]();
  }
}

}  // namespace fourge::jit
