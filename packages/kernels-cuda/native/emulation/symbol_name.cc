#include "symbol_name.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

namespace cortex::emulation {
namespace {

// Mangled name of the function at `offset` of an ELF file's memory image, by its symbol table.
std::string find_symbol(const std::vector<char>& file, ElfW(Addr) offset) {
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(file.data());
  const auto* sections = reinterpret_cast<const ElfW(Shdr)*>(file.data() + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const char* names = file.data() + sections[sections[i].sh_link].sh_offset;
    const auto* symbols = reinterpret_cast<const ElfW(Sym)*>(file.data() + sections[i].sh_offset);
    for (std::size_t s = 0; s < sections[i].sh_size / sizeof *symbols; ++s) {
      if ((symbols[s].st_info & 15) == STT_FUNC && symbols[s].st_value == offset) return names + symbols[s].st_name;
    }
  }
  return "";
}

}  // namespace

std::string symbol_name(const void* function) {
  Dl_info info{};
  link_map* map = nullptr;
  if (dladdr1(function, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0) return "a kernel";
  const char* path = map->l_name[0] == '\0' ? "/proc/self/exe" : map->l_name;
  std::ifstream stream(path, std::ios::binary);
  const std::vector<char> file{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (file.size() < sizeof(ElfW(Ehdr))) return "a kernel";
  const std::string mangled = find_symbol(file, reinterpret_cast<ElfW(Addr)>(function) - map->l_addr);
  int status = 0;
  char* plain = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  std::string result = status == 0 ? plain : mangled.empty() ? "a kernel" : mangled;
  std::free(plain);
  return result.substr(0, result.rfind('('));
}

}  // namespace cortex::emulation
