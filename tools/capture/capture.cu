// Captures what a GPU's tensor cores compute, as vector files for `fourge conform`. README.md beside this
// file says how.
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <set>
#include <sstream>

#include "models.h"
#include "tiles.h"

namespace fourge::capture {
namespace {

constexpr int kExitOk = 0, kExitWrongResult = 1, kExitBadUse = 2;

constexpr const char* kHelp =
    R"(capture: what do this GPU's tensor cores compute? Writes vector files for `fourge conform`.

  capture --list                     the instructions, the model each follows on this GPU, and what has been run
  capture --self-check               exact operands only: are all operands in their places? Writes nothing.
  capture --out DIR [options]        one file for every instruction that this GPU has

  --model PREFIX   only models whose name starts so, such as hopper.wgmma (may be repeated)
  --outputs N      outputs in each file, rounded up to whole tiles of every mode (default 100000)
  --small          the set for a repository: about 6400 outputs a file, 100 KB
  --mode NAMES     uniform,band,zeros,subnormal,cancellation,accumulator,zero_times_huge,overflow,special,powers (default: all)
  --seed S         default 1; the same seed draws the same operands everywhere
  --device I       default 0
  --driver TEXT    driver version for the files' `source`, where it cannot be read from the system

Before an instruction is captured it must pass the self-check: 64 tiles of small integers, whose results are exact.
mma.sync and wgmma have been run on an H100. mma.sync kind::f8f6f4, mxf8f6f4, mxf4, mxf4nvf4 (sm_120a) and tcgen05.mma
(sm_100a) are COMPILED, NEVER RUN: on the first such GPU the self-check decides.

Exit: 0 done; 1 an instruction gave a wrong result on exact operands; 2 bad use, no GPU, or a CUDA or file error.
)";

struct Options {
  bool list = false, self_check_only = false;
  std::string out, driver;
  std::vector<std::string> models;
  std::vector<Mode> modes;
  long long outputs = 100000;
  uint64_t seed = 1;
  int device = 0;
};

struct Gpu {
  std::string name;
  int capability = 0;  // 10 * major + minor; 0: no GPU
  std::string error;
};

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "capture: %s\n", message.c_str());
  std::exit(kExitBadUse);
}

[[noreturn]] void refuse(const std::string& message) { fail(message + "\nTry `capture --help`."); }

// ---- command line ----

unsigned long long number(const std::string& flag, const std::string& text, unsigned long long most) {
  errno = 0;
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || text[0] < '0' || text[0] > '9' || *end || errno || value > most)
    refuse(flag + " " + text + ": expected a whole number up to " + std::to_string(most));
  return value;
}

std::vector<Mode> parse_modes(const std::string& names) {
  std::vector<Mode> modes;
  std::istringstream stream(names);
  for (std::string name; std::getline(stream, name, ',');) {
    int found = -1;
    for (int i = 0; i < kModes; ++i)
      if (name == kModeNames[i]) found = i;
    if (found < 0) refuse("--mode " + name + ": no such mode");
    modes.push_back(Mode(found));
  }
  return modes;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 0; i < kModes; ++i) options.modes.push_back(Mode(i));
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) refuse(flag + " needs a value");
      return argv[++i];
    };
    if (flag == "--help" || flag == "-h") {
      std::fputs(kHelp, stdout);
      std::exit(kExitOk);
    }
    if (flag == "--list")
      options.list = true;
    else if (flag == "--self-check")
      options.self_check_only = true;
    else if (flag == "--small")
      options.outputs = 6400;
    else if (flag == "--out")
      options.out = value();
    else if (flag == "--driver")
      options.driver = value();
    else if (flag == "--model")
      options.models.push_back(value());
    else if (flag == "--mode")
      options.modes = parse_modes(value());
    else if (flag == "--seed")
      options.seed = number(flag, value(), ~0ull);
    else if (flag == "--outputs")
      options.outputs = (long long)number(flag, value(), 1'000'000'000);
    else if (flag == "--device")
      options.device = int(number(flag, value(), 1023));
    else
      refuse("unknown argument " + flag);
  }
  if (!options.list && !options.self_check_only && options.out.empty()) refuse("--out DIR is missing");
  if (options.modes.empty()) refuse("--mode: no mode given");
  return options;
}

// ---- the GPU ----

Gpu find_gpu(int device) {
  Gpu gpu;
  cudaDeviceProp properties{};
  cudaError_t status = cudaSetDevice(device);
  if (status == cudaSuccess) status = cudaGetDeviceProperties(&properties, device);
  if (status != cudaSuccess) {
    gpu.error = cudaGetErrorString(status);
    return gpu;
  }
  gpu.name = properties.name;
  gpu.capability = 10 * properties.major + properties.minor;
  return gpu;
}

// "580.159.04" from "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build ...".
std::string driver_version(const Options& options) {
  if (!options.driver.empty()) return options.driver;
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string text; file >> text;)
    if (text[0] >= '0' && text[0] <= '9' && text.find('.') != std::string::npos) return text;
  return "unknown";
}

std::string describe_source(const Gpu& gpu, const Options& options) {
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  char date[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  std::ostringstream text;
  text << gpu.name << " (compute capability " << gpu.capability / 10 << "." << gpu.capability % 10
       << "), driver " << driver_version(options) << ", CUDA " << runtime / 1000 << "." << runtime % 1000 / 10
       << ", nvcc " << __CUDACC_VER_MAJOR__ << "." << __CUDACC_VER_MINOR__ << "." << __CUDACC_VER_BUILD__
       << ", " << date << ", seed " << options.seed;
  return text.str();
}

std::string describe_modes() {
  std::string text = "modes:";
  for (int i = 0; i < kModes; ++i)
    text += (i ? ", " : " ") + std::to_string(i) + " " + std::string(kModeNames[i]);
  return text;
}

// ---- commands ----

bool wanted(const std::string& model, const Options& options) {
  for (const std::string& prefix : options.models)
    if (model.compare(0, prefix.size(), prefix) == 0) return true;
  return options.models.empty();
}

int list(const Gpu& gpu) {
  if (gpu.capability == 0)
    std::printf("no GPU (%s): models as on 9.0, 10.0 and 12.0\n", gpu.error.c_str());
  else
    std::printf("%s, compute capability %d.%d\n", gpu.name.c_str(), gpu.capability / 10, gpu.capability % 10);
  for (const Instruction& op : all_instructions()) {
    const std::string model = model_of(op, gpu.capability > 0 ? gpu.capability : usual_capability(op));
    std::printf("%-8s %-34s %-40s %s %s x %s%s\n", needs(op), model.empty() ? "-" : model.c_str(),
                short_name(op).c_str(), op.ptx.c_str(), op.a->name, op.b->name,
                has_been_run(op) ? "" : "  (compiled, never run)");
  }
  return kExitOk;
}

int tiles_for(const Instruction& op, const Options& options) {
  const long long modes = (long long)options.modes.size(), per_round = modes * op.m * op.n;
  return int((options.outputs + per_round - 1) / per_round * modes);
}

int capture_one(const Instruction& op, const std::string& model, const std::string& source,
                const Options& options) {
  if (const std::string error = self_check(op, options.seed); !error.empty()) {
    std::printf("%-34s %-40s FAILED: %s\n", model.c_str(), short_name(op).c_str(), error.c_str());
    return kExitWrongResult;
  }
  if (options.self_check_only) {
    std::printf("%-34s %-40s self-check passed\n", model.c_str(), short_name(op).c_str());
    return kExitOk;
  }
  HostTiles tiles = draw_tiles(op, options.modes, tiles_for(op, options), options.seed);
  if (const std::string error = run_on_gpu(op, tiles); !error.empty()) fail(short_name(op) + ": " + error);
  const std::string path = options.out + "/" + model + "__" + short_name(op) + ".safetensors";
  const std::string note = op.ptx + "; tools/capture; " + describe_modes();
  if (const std::string error = write_vectors(path, op, tiles, {model, source, note}); !error.empty())
    fail(error);
  std::printf("%-34s %-40s %d tiles, %lld outputs\n", model.c_str(), short_name(op).c_str(), tiles.tiles,
              (long long)tiles.tiles * op.m * op.n);
  return kExitOk;
}

int capture(const Gpu& gpu, const Options& options) {
  if (gpu.capability == 0) fail("no GPU: " + gpu.error);
  if (gpu.capability < 80)
    fail(gpu.name + ": compute capability " + std::to_string(gpu.capability / 10) + "." +
         std::to_string(gpu.capability % 10) + "; 8.0 or later is needed");
  if (!options.out.empty() && mkdir(options.out.c_str(), 0777) != 0 && errno != EEXIST)
    fail(options.out + ": cannot be created: " + std::strerror(errno));

  const std::string source = describe_source(gpu, options);
  std::printf("%s\n", source.c_str());
  int exit_code = kExitOk, captured = 0;
  for (const Instruction& op : all_instructions()) {
    const std::string model = model_of(op, gpu.capability);
    if (model.empty() || !wanted(model, options)) continue;
    ++captured;
    if (capture_one(op, model, source, options) != kExitOk) exit_code = kExitWrongResult;
  }
  if (captured == 0) refuse("no instruction of this GPU follows a model that --model names");
  if (exit_code != kExitOk)
    std::fprintf(stderr, "capture: some instructions failed the self-check; no file was written for them\n");
  return exit_code;
}

}  // namespace
}  // namespace fourge::capture

int main(int argc, char** argv) {
  using namespace fourge::capture;
  const Options options = parse(argc, argv);
  const Gpu gpu = find_gpu(options.device);
  return options.list ? list(gpu) : capture(gpu, options);
}
