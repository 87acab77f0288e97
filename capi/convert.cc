#include "capi/convert.h"

namespace fourge::capi {

Status take_matrix(const fourge_matrix& matrix, const char* where, QuantizedView& view) {
  if (const Status status = take_format(matrix.format, view.format); !status.ok()) return status;
  if (const Status status = take_layout(matrix.layout, view.layout); !status.ok()) return status;
  TensorScale::Direction direction{};
  if (const Status status =
          take(matrix.direction, TensorScale::Direction::encode_multiplier, "direction", direction);
      !status.ok())
    return status;
  if (matrix.rows < 0 || matrix.cols < 0 || matrix.cols % info(view.format).block != 0) {
    return {Error::kBadShape, "expected extents of at least 0, cols a multiple of the scale block",
            std::string(where) + ": " + std::to_string(matrix.rows) + " x " + std::to_string(matrix.cols)};
  }
  view.rows = matrix.rows;
  view.cols = matrix.cols;
  view.codes = matrix.codes;
  view.scales = matrix.scales;
  view.tensor_scale = {matrix.tensor_scale, direction};
  return {};
}

Status take_kernel_options(const fourge_kernel_options* options, KernelOptions& out) {
  if (options == nullptr) return {};
  const Input<fourge_kernel_options> given(options, FOURGE_KERNEL_OPTIONS_INIT, "options");
  if (!given.ok()) return given.failure();
  out = {given->kernel, given->max_isa};
  return {};
}

std::string KernelTexts::table(const KernelCode& code) {
  std::string text;
  for (const auto& [registers, role] : code.registers) text += registers + "\t" + role + "\n";
  return text;
}

std::string KernelTexts::lines(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  return all;
}

fourge_status KernelTexts::give_to(fourge_kernel* kernel) const noexcept {
  return give(
      kernel,
      fourge_kernel{sizeof(fourge_kernel), code_.name.c_str(), code_.isa.c_str(), code_.exactness.c_str(),
                    code_.budget.c_str(), registers_.c_str(), decisions_.c_str(), code_.bytes.data(),
                    static_cast<std::int64_t>(code_.bytes.size())},
      "kernel");
}

}  // namespace fourge::capi
