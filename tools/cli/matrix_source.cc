#include "tools/cli/matrix_source.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

namespace fourge::cli {

Result<bench::Values> matrix_of(const quant::Safetensors& file, const std::string& name) {
  const Result<quant::Tensor> tensor = file.find(name);
  if (!tensor) return tensor.failure();
  const std::string where = fmt::format("{}: tensor '{}' {} [{}]", file.name(), name,
                                        quant::name_of(tensor->dtype), fmt::join(tensor->shape, ", "));
  if (tensor->shape.size() != 2) return {Error::kBadShape, "expected two dimensions", where};
  if (tensor->elements() == 0) return {Error::kBadShape, "expected at least one element", where};
  Result<std::vector<float>> values = quant::tensor_to_f32(*tensor);
  if (!values) return {values.error(), values.failure().reason, where};
  const auto bad = std::find_if(values->begin(), values->end(), [](float x) { return !std::isfinite(x); });
  if (bad != values->end()) {
    const std::int64_t index = bad - values->begin();
    return {Error::kBadArgument, "expected finite values",
            fmt::format("{}: element [{}, {}] is {}", where, index / tensor->shape[1],
                        index % tensor->shape[1], *bad)};
  }
  return bench::Values{tensor->shape[0], tensor->shape[1], std::move(*values)};
}

Result<RandomMatrix> parse_random_matrix(const std::string& text) {
  const Failure failure{Error::kBadArgument, "expected N,K or N,K,SEED, whole numbers, N and K at least 1",
                        fmt::format("--random '{}'", text)};
  std::vector<std::uint64_t> numbers;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    std::uint64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return failure;
    numbers.push_back(number);
    if (next == end) break;
    if (*next != ',') return failure;
    at = next + 1;
  }
  constexpr std::uint64_t kMost = std::uint64_t{1} << 30;
  const bool sizes = numbers.size() >= 2 && numbers[0] >= 1 && numbers[1] >= 1;
  if (!sizes || numbers.size() > 3) return failure;
  if (numbers[0] > kMost || numbers[1] > kMost) {
    return {Error::kBadShape, "expected N and K of at most 2^30", failure.where};
  }
  return RandomMatrix{static_cast<std::int64_t>(numbers[0]), static_cast<std::int64_t>(numbers[1]),
                      numbers.size() == 3 ? numbers[2] : 1};
}

Status check_memory(std::int64_t m, std::int64_t n, std::int64_t k) {
  const auto rows = static_cast<double>(m), columns = static_cast<double>(n), depth = static_cast<double>(k);
  // f32 values, codes and scales, packed weights; D twice.
  const double needed = (rows + columns) * depth * (4 + 0.75) + columns * depth * 0.75 + rows * columns * 8;
  const double there =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (needed < 0.8 * there) return {};
  return {Error::kOutOfMemory, "expected a product that fits in memory",
          fmt::format("m {}, n {}, k {} needs {:.1f} GiB, this machine has {:.1f} GiB", m, n, k,
                      needed / (1 << 30), there / (1 << 30))};
}

}  // namespace fourge::cli
