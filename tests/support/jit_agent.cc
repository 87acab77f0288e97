// Stands in for VTune's JIT agent: appends what it is told to the file FOURGE_TEST_AGENT_LOG.
#include <cstdio>
#include <cstdlib>

namespace {

struct MethodLoadV2 {  // iJIT_Method_Load_V2 of github.com/intel/ittapi, include/jitprofiling.h
  unsigned method_id;
  const char* method_name;
  const void* method_load_address;
  unsigned method_size;
  unsigned line_number_size;
  const void* line_number_table;
  const char* class_file_name;
  const char* source_file_name;
  const char* module_name;
};

template <class... Values>
void log(const char* format, Values... values) {
  std::FILE* file = std::fopen(std::getenv("FOURGE_TEST_AGENT_LOG"), "a");
  if (file == nullptr) return;
  std::fprintf(file, format, values...);
  std::fclose(file);
}

}  // namespace

extern "C" {

unsigned Initialize() {
  log("initialize%s\n", "");
  return 1;  // sampling is on
}

unsigned NotifyEvent(unsigned event, void* data) {
  if (event == 21) {
    const auto* load = static_cast<const MethodLoadV2*>(data);
    const auto first_byte = *static_cast<const unsigned char*>(load->method_load_address);
    log("load %u %s %u bytes, module %s, begins with %02x\n", load->method_id, load->method_name,
        load->method_size, load->module_name, unsigned{first_byte});
  } else {
    log("event %u %u\n", event, *static_cast<unsigned*>(data));
  }
  return 1;
}
}
