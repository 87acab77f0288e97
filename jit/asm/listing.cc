#include "jit/asm/listing.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "jit/asm/executable_code.h"

namespace fourge::jit {
namespace {

constexpr std::size_t kCommentColumn = 72;

struct Instruction {
  std::uint64_t address = 0;
  std::string text;                     // mnemonic and operands
  std::optional<std::uint64_t> target;  // of a jump inside the code
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// Words of letters and digits, in order: "vpaddd zmm1{k2},zmm3,[rsi+rax*4]" -> vpaddd zmm1 k2 zmm3 rsi rax 4.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (is_word(c)) {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// One name for all widths of a register: "zmm3" for ymm3, "rax" for al, "r8" for r8d, "v1" for q1, "x2" for
// w2.
std::string whole_register(const std::string& name) {
  const auto numbered = [&](std::size_t letters) {
    return name.size() > letters &&
           std::all_of(name.begin() + static_cast<std::ptrdiff_t>(letters), name.end(),
                       [](char c) { return std::isdigit(static_cast<unsigned char>(c)); });
  };
  if ((name.starts_with("xmm") || name.starts_with("ymm")) && numbered(3)) return "z" + name.substr(1);
  if (name.size() > 1 && name[0] == 'r' && std::isdigit(static_cast<unsigned char>(name[1]))) {
    return name.substr(0, name.find_first_of("dwb"));
  }
#if defined(__aarch64__)
  if (name.size() > 1 && numbered(1)) {
    if (name[0] == 'w') return "x" + name.substr(1);
    if (std::string_view("bhsdq").find(name[0]) != std::string_view::npos) return "v" + name.substr(1);
  }
#else
  static constexpr std::string_view kFamilies[][4] = {
      {"rax", "eax", "ax", "al"},  {"rbx", "ebx", "bx", "bl"},  {"rcx", "ecx", "cx", "cl"},
      {"rdx", "edx", "dx", "dl"},  {"rsi", "esi", "si", "sil"}, {"rdi", "edi", "di", "dil"},
      {"rbp", "ebp", "bp", "bpl"}, {"rsp", "esp", "sp", "spl"},
  };
  for (const auto& family : kFamilies) {
    if (std::find(std::begin(family), std::end(family), name) != std::end(family))
      return std::string(family[0]);
  }
#endif
  return name;
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(separators);
    std::string_view part = text.substr(0, end);
    while (part.starts_with(' ')) part.remove_prefix(1);
    parts.emplace_back(part);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

// "zmm0..15" -> zmm0 to zmm15, "v8..v11" -> v8 to v11; any other name alone.
std::vector<std::string> expand(const std::string& range) {
  const std::size_t dots = range.find("..");
  if (dots == std::string::npos) return {whole_register(range)};
  const std::size_t digits = range.find_first_of("0123456789");
  const std::size_t last_digits = range.find_first_of("0123456789", dots);
  if (digits > dots || last_digits == std::string::npos) return {};
  std::vector<std::string> names;
  const int last = std::atoi(range.c_str() + last_digits);
  for (int i = std::atoi(range.c_str() + digits); i <= last; ++i)
    names.push_back(whole_register(range.substr(0, digits) + std::to_string(i)));
  return names;
}

// A note gives registers or ranges of them, and a role for each (separated by ";" or ","), or one for all.
class Roles {
 public:
  explicit Roles(const KernelCode& code) {
    for (const auto& [registers, role] : code.registers) add(split(registers, ",;"), role);
  }
  // Empty when nothing is known.
  std::string of(const std::string& name) const {
    const auto found = roles_.find(whole_register(name));
    return found == roles_.end() ? std::string() : found->second;
  }

 private:
  void add(const std::vector<std::string>& ranges, const std::string& role) {
    std::vector<std::vector<std::string>> groups;
    for (const std::string& range : ranges) groups.push_back(expand(range));
    if (groups.size() == 1 && split(role, ",").size() == groups[0].size()) {
      const std::vector<std::string> names = groups[0];
      groups.clear();
      for (const std::string& name : names) groups.push_back({name});
    }
    std::vector<std::string> each = split(role, ";");
    if (each.size() != groups.size()) each = split(role, ",");
    for (std::size_t i = 0; i < groups.size(); ++i) {
      for (const std::string& name : groups[i]) roles_[name] = each.size() == groups.size() ? each[i] : role;
    }
  }
  std::map<std::string, std::string> roles_;
};

bool is_return(const Instruction& instruction) { return instruction.text.starts_with("ret"); }

// objdump gives targets as 0x...: of a jump, the last word. Jumps start with j, or are b.cc, b, cbz, tbnz
// (Arm).
std::optional<std::uint64_t> jump_target(const std::string& text) {
  const std::vector<std::string> words = words_of(text);
  if (words.size() < 2) return std::nullopt;
  static const std::set<std::string, std::less<>> kArmJumps = {"b", "bl", "cbz", "cbnz", "tbz", "tbnz"};
  if (words[0][0] != 'j' && kArmJumps.count(words[0]) == 0) return std::nullopt;
  const std::string& last = words.back();
  if (!last.starts_with("0x")) return std::nullopt;
  return std::strtoull(last.c_str(), nullptr, 16);
}

std::vector<Instruction> parse(const std::string& disassembly) {
  std::vector<Instruction> instructions;
  std::istringstream lines(disassembly);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(":\t");
    if (colon == std::string::npos) continue;
    Instruction instruction{std::strtoull(line.c_str(), nullptr, 16), line.substr(colon + 2), std::nullopt};
    while (instruction.text.ends_with(' ')) instruction.text.pop_back();
    std::replace(instruction.text.begin(), instruction.text.end(), '\t', ' ');
    instruction.target = jump_target(instruction.text);
    instructions.push_back(std::move(instruction));
  }
  return instructions;
}

// The code ends at the first return that no jump passes over; behind it lie constants.
std::size_t count_code(const std::vector<Instruction>& instructions) {
  std::uint64_t furthest = 0;
  for (std::size_t i = 0; i < instructions.size(); ++i) {
    furthest = std::max(furthest, instructions[i].target.value_or(0));
    if (is_return(instructions[i]) && furthest <= instructions[i].address) return i + 1;
  }
  return instructions.size();
}

std::map<std::uint64_t, std::string> label_targets(std::vector<Instruction>& code) {
  std::map<std::uint64_t, std::string> labels;
  for (const Instruction& instruction : code) {
    if (instruction.target.has_value()) labels[*instruction.target];
  }
  int next = 1;
  for (auto& [address, label] : labels) label = "L" + std::to_string(next++);
  for (Instruction& instruction : code) {
    if (!instruction.target.has_value()) continue;
    instruction.text.resize(instruction.text.rfind("0x"));
    instruction.text += labels[*instruction.target];
  }
  return labels;
}

// "destination <- sources", each role once.
std::string roles_of(const Instruction& instruction, const Roles& roles) {
  const std::vector<std::string> words = words_of(instruction.text);
  std::string text;
  std::set<std::string> seen;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string role = roles.of(words[i]);
    if (role.empty() || !seen.insert(role).second) continue;
    text += (text.empty() ? "" : seen.size() == 2 ? " <- " : " | ") + role;
  }
  return text;
}

std::string heading(const KernelCode& code) {
  std::string text = "; " + code.name + "\n; level " + code.isa + ", " + code.exactness + ", " +
                     std::to_string(code.bytes.size()) + " bytes\n;\n; registers\n";
  for (const auto& [registers, role] : code.registers) {
    std::string line = ";   " + registers;
    line.resize(std::max(line.size() + 2, std::size_t{30}), ' ');
    text += line + role + "\n";
  }
  text += ";\n; budget\n";
  std::istringstream lines(code.budget);
  for (std::string line; std::getline(lines, line);) text += ";   " + line + "\n";
  return text + "\n";
}

std::string constants(std::span<const std::uint8_t> bytes, std::size_t begin) {
  std::string text = begin < bytes.size() ? "\n; constants, 4-byte words, little-endian\n" : "";
  char piece[24];
  for (std::size_t line = begin; line < bytes.size(); line += 16) {
    std::snprintf(piece, sizeof piece, "%6zx:", line);
    text += piece;
    for (std::size_t word = line; word < std::min(line + 16, bytes.size()); word += 4) {
      text += ' ';
      for (std::size_t i = std::min(word + 4, bytes.size()); i-- > word;) {
        std::snprintf(piece, sizeof piece, "%02x", bytes[i]);
        text += piece;
      }
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::string annotate(const KernelCode& code, const std::string& disassembly) {
  std::vector<Instruction> instructions = parse(disassembly);
  const std::size_t count = count_code(instructions);
  const std::size_t code_bytes =
      count < instructions.size() ? instructions[count].address : code.bytes.size();
  instructions.resize(count);
  const std::map<std::uint64_t, std::string> labels = label_targets(instructions);
  const Roles roles(code);
  std::string text = heading(code);
  for (const Instruction& instruction : instructions) {
    if (const auto label = labels.find(instruction.address); label != labels.end())
      text += label->second + ":\n";
    char address[24];
    std::snprintf(address, sizeof address, "%6llx:  ", static_cast<unsigned long long>(instruction.address));
    std::string line = address + instruction.text;
    if (const std::string comment = roles_of(instruction, roles); !comment.empty()) {
      line.resize(std::max(line.size() + 2, kCommentColumn), ' ');
      line += "; " + comment;
    }
    text += line + "\n";
  }
  return text + constants(code.bytes, code_bytes);
}

Result<std::string> annotated_listing(const KernelCode& code) {
  if (code.bytes.empty())
    return {Error::kBadArgument, "expected a generated kernel; this one is compiled C++", code.name};
  const Result<std::string> disassembly = disassemble(code.bytes, code.name);
  if (!disassembly.ok()) return disassembly.failure();
  return annotate(code, *disassembly);
}

}  // namespace fourge::jit
