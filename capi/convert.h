// C structs that several operations take, as their C++ counterparts.
#pragma once

#include <string>

#include "capi/status.h"
#include "fourge/formats.h"
#include "fourge/kernel.h"
#include "fourge/matrix.h"

namespace fourge::capi {

inline Status take_element_format(fourge_element_format value, const char* where, ElementFormat& out) {
  return take(value, ElementFormat::f32, where, out);
}
inline Status take_format(fourge_format value, Format& out) {
  return take(value, Format::mxfp4_b16, "format", out);
}
inline Status take_layout(fourge_scale_layout value, ScaleLayout& out) {
  return take(value, ScaleLayout::swizzled_8x4, "scale layout", out);
}

/// kBadShape unless the block divides cols.
Status take_matrix(const fourge_matrix& matrix, const char* where, QuantizedView& view);

/// Null gives the defaults.
Status take_kernel_options(const fourge_kernel_options* options, KernelOptions& out);

/// The texts of a kernel, kept for fourge_..._kernel().
class KernelTexts {
 public:
  template <class Operation>
  explicit KernelTexts(const Operation& operation)
      : code_(operation.code()), registers_(table(code_)), decisions_(lines(operation.decisions())) {}

  fourge_status give_to(fourge_kernel* kernel) const noexcept;

 private:
  static std::string table(const KernelCode& code);
  static std::string lines(const std::vector<std::string>& texts);

  KernelCode code_;
  std::string registers_, decisions_;
};

/// What is behind a handle of an operation with a kernel.
template <class Operation>
struct Handle {
  explicit Handle(Operation o) : operation(std::move(o)), texts(operation) {}

  Operation operation;
  KernelTexts texts;
};

/// Operation::create(), into a handle of the C type HandleType.
template <class Operation, class HandleType, class Spec>
fourge_status create(const Spec& spec, const fourge_kernel_options* options, HandleType** out) {
  KernelOptions chosen;
  if (const Status status = take_kernel_options(options, chosen); !status.ok()) return done(status);
  Result<Operation> operation = Operation::create(spec, chosen);
  if (!operation.ok()) return fail(operation.failure());
  *out = new HandleType(std::move(*operation));
  return FOURGE_OK;
}

}  // namespace fourge::capi
