// Constants of a generated kernel, written down where they are used and emitted once, after the code.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <deque>

#include "jit/asm/x86_generator.h"

namespace fourge::jit {

class ConstantPool {
 public:
  using Table = std::array<std::uint32_t, 16>;

  /// The label of a 32-bit word.
  const Xbyak::Label& word(std::uint32_t value);
  const Xbyak::Label& word(float value) { return word(std::bit_cast<std::uint32_t>(value)); }
  /// The label of 64 bytes, aligned.
  const Xbyak::Label& table(const Table& values);

  /// Emits everything asked for so far.
  void emit(Xbyak::CodeGenerator& code);

 private:
  template <class Value>
  struct Entry {
    Value value;
    Xbyak::Label label;
  };
  std::deque<Entry<std::uint32_t>> words_;  // a deque: labels stay where they are
  std::deque<Entry<Table>> tables_;
};

/// Sixteen words, f(lane).
template <class Function>
constexpr ConstantPool::Table lanes_of(const Function& f) {
  ConstantPool::Table table{};
  for (std::uint32_t lane = 0; lane < table.size(); ++lane) table[lane] = f(lane);
  return table;
}

}  // namespace fourge::jit
