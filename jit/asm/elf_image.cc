#include "jit/asm/elf_image.h"

#include <elf.h>

#include <cstring>
#include <string>

namespace fourge::jit {
namespace {

class ElfImage {
 public:
  explicit ElfImage(Machine machine) : bytes_(sizeof(Elf64_Ehdr)), sections_(1), names_(1, '\0') {
    std::memcpy(header_.e_ident, ELFMAG, SELFMAG);
    header_.e_ident[EI_CLASS] = ELFCLASS64;
    header_.e_ident[EI_DATA] = ELFDATA2LSB;
    header_.e_ident[EI_VERSION] = EV_CURRENT;
    header_.e_type = ET_EXEC;  // addresses are final
    header_.e_machine = machine == Machine::aarch64 ? EM_AARCH64 : EM_X86_64;
    header_.e_version = EV_CURRENT;
    header_.e_ehsize = sizeof(Elf64_Ehdr);
    header_.e_shentsize = sizeof(Elf64_Shdr);
  }

  std::uint32_t count() const { return static_cast<std::uint32_t>(sections_.size()); }

  // `section` with sh_name, sh_offset and (when there are bytes) sh_size filled in.
  void add(const char* name, Elf64_Shdr section, std::span<const std::uint8_t> content) {
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    section.sh_name = static_cast<Elf64_Word>(names_.size());
    names_.append(name).push_back('\0');
    section.sh_offset = bytes_.size();
    if (!content.empty()) section.sh_size = content.size();
    bytes_.insert(bytes_.end(), content.begin(), content.end());
    sections_.push_back(section);
  }

  std::vector<std::uint8_t> finish() {
    Elf64_Shdr names{};
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    const std::string text = names_ + ".shstrtab" + '\0';  // add() appends the same
    add(".shstrtab", names, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    header_.e_shoff = bytes_.size();
    header_.e_shnum = static_cast<Elf64_Half>(sections_.size());
    header_.e_shstrndx = static_cast<Elf64_Half>(sections_.size() - 1);
    const auto* table = reinterpret_cast<const std::uint8_t*>(sections_.data());
    bytes_.insert(bytes_.end(), table, table + sections_.size() * sizeof(Elf64_Shdr));
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    return std::move(bytes_);
  }

 private:
  Elf64_Ehdr header_{};
  std::vector<std::uint8_t> bytes_;
  std::vector<Elf64_Shdr> sections_;  // the first is the null section
  std::string names_;
};

Elf64_Shdr section(Elf64_Word type, Elf64_Xword flags, std::span<const std::uint8_t> at,
                   Elf64_Xword alignment) {
  Elf64_Shdr header{};
  header.sh_type = type;
  header.sh_flags = flags;
  header.sh_addr = address_of(at);
  header.sh_size = at.size();
  header.sh_addralign = alignment;
  return header;
}

}  // namespace

std::vector<std::uint8_t> elf_image(const CodeView& code, Machine machine) {
  ElfImage image(machine);
  const std::uint32_t text_index = image.count();
  image.add(".text", section(SHT_NOBITS, SHF_ALLOC | SHF_EXECINSTR, code.code, 16), {});
  if (!code.eh_frame.empty())
    image.add(".eh_frame", section(SHT_PROGBITS, SHF_ALLOC, code.eh_frame, 8), code.eh_frame);

  Elf64_Sym symbols[2]{};  // the first is the null symbol
  symbols[1].st_name = 1;
  symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
  symbols[1].st_shndx = static_cast<Elf64_Section>(text_index);
  symbols[1].st_value = address_of(code.code);
  symbols[1].st_size = code.code.size();
  Elf64_Shdr symtab = section(SHT_SYMTAB, 0, {}, 8);
  symtab.sh_entsize = sizeof(Elf64_Sym);
  symtab.sh_info = 1;  // the first global symbol
  symtab.sh_link = image.count() + 1;
  image.add(".symtab", symtab, {reinterpret_cast<const std::uint8_t*>(symbols), sizeof symbols});

  const std::string strings = std::string(1, '\0') + std::string(code.name) + '\0';
  image.add(".strtab", section(SHT_STRTAB, 0, {}, 1),
            {reinterpret_cast<const std::uint8_t*>(strings.data()), strings.size()});
  return image.finish();
}

}  // namespace fourge::jit
