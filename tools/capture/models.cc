#include "models.h"

namespace fourge::capture {
namespace {

bool is_fp8(const Instruction& op) { return op.a->stored_bits == 8 && op.family != Family::kMmaSyncSm120; }

std::string formats(const Instruction& op) { return std::string(op.a->name) + "." + op.d->name; }

// "mxf4" of "...kind::mxf4.block_scale...", empty without a kind.
std::string kind(const Instruction& op) {
  const size_t at = op.ptx.find("kind::");
  return at == std::string::npos ? "" : op.ptx.substr(at + 6, op.ptx.find('.', at) - at - 6);
}

std::string mma_sync_model(const Instruction& op, int capability) {
  const std::string output = op.d->name;
  if (!is_fp8(op)) {
    if (capability < 80) return "";
    if (capability < 89) return "ampere." + formats(op);
    if (capability < 90) return "ada." + formats(op);
    if (capability < 100) return "hopper." + formats(op);
    return "blackwell." + formats(op);
  }
  if (capability < 89) return "";
  if (capability < 90) return "ada.fp8." + output;
  if (capability < 100) return "hopper.mma_sync.fp8." + output;
  if (capability < 120) return "blackwell.mma_sync.fp8." + output;
  return "blackwell.f8f6f4." + output;
}

// The models of the kinds that mma.sync (12.x) and tcgen05.mma (10.x) share.
std::string blackwell_model(const Instruction& op) {
  if (op.scale == nullptr)
    return "blackwell." + (op.a->stored_bits <= 8 ? std::string("f8f6f4.") + op.d->name : formats(op));
  if (kind(op) == "mxf8f6f4") return "blackwell.mxf8f6f4.ue8m0.block32";
  if (op.block == 32) return "blackwell.mxf4.ue8m0.block32";  // kind::mxf4, and kind::mxf4nvf4 with 2X scales
  return std::string("blackwell.mxf4nvf4.") + op.scale->name + ".block16";
}

}  // namespace

std::vector<Instruction> all_instructions() {
  std::vector<Instruction> list;
  add_mma_sync(list);
  add_wgmma(list);
  add_mma_sync_sm120(list);
  add_tcgen05(list);
  return list;
}

std::string model_of(const Instruction& op, int capability) {
  const int major = capability / 10;
  switch (op.family) {
    case Family::kMmaSync:
      return mma_sync_model(op, capability);
    case Family::kWgmma:
      if (major != 9) return "";
      return op.a->stored_bits == 8 ? std::string("hopper.wgmma.fp8.") + op.d->name : "hopper." + formats(op);
    case Family::kMmaSyncSm120:
      return major == 12 ? blackwell_model(op) : "";
    case Family::kTcgen05:
      return major == 10 ? blackwell_model(op) : "";
  }
  return "";
}

const char* needs(const Instruction& op) {
  switch (op.family) {
    case Family::kMmaSync:
      return is_fp8(op) ? "sm_89+" : "sm_80+";
    case Family::kWgmma:
      return "sm_90a";
    case Family::kMmaSyncSm120:
      return "sm_120a";
    case Family::kTcgen05:
      return "sm_100a";
  }
  return "";
}

int usual_capability(const Instruction& op) {
  return op.family == Family::kTcgen05 ? 100 : op.family == Family::kMmaSyncSm120 ? 120 : 90;
}

bool has_been_run(const Instruction& op) {
  return op.family == Family::kMmaSync || op.family == Family::kWgmma;
}

std::string short_name(const Instruction& op) {
  std::string name = op.family == Family::kWgmma     ? "wgmma"
                     : op.family == Family::kTcgen05 ? "tcgen05"
                                                     : "mma_sync";
  if (!kind(op).empty()) name += "_" + kind(op);
  name += "_m" + std::to_string(op.m) + "n" + std::to_string(op.n) + "k" + std::to_string(op.k);
  return name + "_" + op.a->name + "_" + op.b->name;
}

}  // namespace fourge::capture
