#include "jit/x86/constant_pool.h"

namespace fourge::jit {

const Xbyak::Label& ConstantPool::word(std::uint32_t value) {
  for (const auto& entry : words_) {
    if (entry.value == value) return entry.label;
  }
  words_.emplace_back();
  words_.back().value = value;
  return words_.back().label;
}

const Xbyak::Label& ConstantPool::table(const Table& values) {
  for (const auto& entry : tables_) {
    if (entry.value == values) return entry.label;
  }
  tables_.emplace_back();
  tables_.back().value = values;
  return tables_.back().label;
}

void ConstantPool::emit(Xbyak::CodeGenerator& code) {
  code.align(64);
  for (auto& entry : tables_) {
    code.L(entry.label);
    for (const std::uint32_t value : entry.value) code.dd(value);
  }
  for (auto& entry : words_) {
    code.L(entry.label);
    code.dd(entry.value);
  }
}

}  // namespace fourge::jit
