// Quantises two matrices, multiplies them by a generated kernel and by the reference, and compares all bits.
#include <fourge/fourge.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "reference/gemm.h"

namespace {

std::vector<float> waves(std::int64_t count, float frequency) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(std::sin(frequency * static_cast<float>(i)) * static_cast<float>(i % 7));
  return values;
}

int fail(const fourge::Failure& failure) {
  std::fprintf(stderr, "%s\n", failure.message().c_str());
  return 1;
}

}  // namespace

int main() {
  const fourge::GemmSpec spec{.m = 5, .n = 37, .k = 96};
  const fourge::QuantizeSpec rule{.rule = fourge::ScaleRule::mse_4_6};
  const auto a = fourge::quantize(waves(spec.m * spec.k, 0.1f), spec.m, spec.k, rule);
  const auto b = fourge::quantize(waves(spec.n * spec.k, 0.7f), spec.n, spec.k, rule);
  if (!a.ok()) return fail(a.failure());
  if (!b.ok()) return fail(b.failure());
  const auto gemm = fourge::Gemm::create(spec);
  if (!gemm.ok()) return fail(gemm.failure());
  const auto packed = gemm->pack(b->view());
  if (!packed.ok()) return fail(packed.failure());

  std::vector<float> d(static_cast<std::size_t>(spec.m * spec.n)), expected(d.size());
  fourge::GemmOperands operands{.alpha = fourge::gemm_alpha(a->tensor_scale, b->tensor_scale), .d = d.data()};
  if (const auto status = gemm->run(a->view(), *packed, operands); !status.ok())
    return fail(status.failure());
  operands.d = expected.data();
  if (const auto status = fourge::reference::gemm(spec, a->view(), b->view(), operands); !status.ok())
    return fail(status.failure());
  if (std::memcmp(d.data(), expected.data(), d.size() * sizeof(float)) != 0) {
    std::fprintf(stderr, "the kernel differs from the reference\n");
    return 1;
  }
  std::printf("fourge %d.%d.%d: %s, %zu outputs bit for bit the reference's\n", FOURGE_VERSION_MAJOR,
              FOURGE_VERSION_MINOR, FOURGE_VERSION_PATCH, gemm->code().name.c_str(), d.size());
  return 0;
}
