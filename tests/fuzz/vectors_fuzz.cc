// Any bytes as a vector file: refused with one line, or every output can be computed and explained. Any bytes
// as operands of any model: no undefined behaviour, and the trace ends in the result.
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/vectors/evaluate.h"
#include "tools/vectors/explain.h"

namespace {

using namespace fourge;
using vectors::VectorSet;

void require(bool condition) {
  if (!condition) std::abort();
}

constexpr std::int64_t kMostOutputs = 4096;

void check_output(const VectorSet& set, std::int64_t tile, int i, int j, std::uint32_t d) {
  const vectors::OutputOperands x{set.model_name,
                                  set.model,
                                  set.shape.a_format,
                                  set.shape.b_format,
                                  set.shape.k,
                                  set.a_row(tile, i),
                                  set.b_row(tile, j),
                                  set.a_scale_row(tile, i),
                                  set.b_scale_row(tile, j),
                                  set.c[set.output(tile, i, j)],
                                  d};
  require(vectors::compute(x, {}) == d);
  require(vectors::explain_text(x, {}).find("MISMATCH") == std::string::npos);
  require(vectors::explain_json(x, {})["result"] == vectors::word_text(set.model, d));
}

void check_file(std::span<const std::uint8_t> bytes) {
  const Result<VectorSet> set = vectors::parse_vectors(bytes, "fuzz");
  if (!set.ok()) {
    const std::string message = set.failure().message();
    require(!message.empty() && message.size() < 2000 && message.find('\n') == std::string::npos);
    return;
  }
  if (set->outputs() == 0 || set->outputs() > kMostOutputs) return;
  const std::vector<std::uint32_t> d = vectors::evaluate(*set, {}, 1);
  check_output(*set, set->tiles - 1, set->shape.m - 1, set->shape.n - 1, d.back());
}

// Byte 0 the model, 1 and 2 the formats, the rest operands, over and over.
void check_operands(std::span<const std::uint8_t> bytes) {
  const auto models = std::span(reference::kMmaModels);
  VectorSet set;
  set.model = models[bytes[0] % models.size()];
  set.model_name = set.model.name;
  std::vector<ElementFormat> formats;
  for (const ElementFormat format : kElementFormats) {
    if (set.model.formats.contains(format)) formats.push_back(format);
  }
  const int depth = set.model.depths[set.model.depths[1] != 0 ? bytes[1] >> 7 : 0];
  set.shape = {2, 2, depth, formats[bytes[1] % formats.size()], formats[bytes[2] % formats.size()]};
  require(reference::check(set.model, set.shape).ok());
  set.tiles = 1;
  set.a_row_bytes = reference::row_bytes(set.shape.a_format, depth);
  set.b_row_bytes = reference::row_bytes(set.shape.b_format, depth);
  std::size_t next = 3;
  const auto byte = [&] { return bytes[next++ % bytes.size()]; };
  const auto fill = [&](std::vector<std::uint8_t>& out, int count) {
    for (int i = 0; i < count; ++i) out.push_back(byte());
  };
  fill(set.a, 2 * set.a_row_bytes);
  fill(set.b, 2 * set.b_row_bytes);
  fill(set.a_scales, 2 * set.scales_per_row());
  fill(set.b_scales, 2 * set.scales_per_row());
  for (int i = 0; i < 4; ++i) {
    std::uint32_t word = 0;
    for (int part = 0; part < (set.model.c_format() == ElementFormat::f32 ? 4 : 2); ++part)
      word = word << 8 | byte();
    set.c.push_back(word);
  }
  for (const reference::ZeroRule zeros : {reference::ZeroRule::mma_sim, reference::ZeroRule::hardware}) {
    set.d = vectors::evaluate(set, {.zeros = zeros}, 1);
  }
  check_output(set, 0, 1, 1, set.d[3]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_file({data, size});
  if (size >= 4) check_operands({data, size});
  // As header and data of a file whose length field is right.
  if (size >= 2) {
    const std::size_t data_bytes = std::min<std::size_t>(data[0] * std::size_t{8}, size - 1);
    std::string file(8, '\0');
    const std::uint64_t header = size - 1 - data_bytes;
    std::memcpy(file.data(), &header, sizeof header);
    file.append(reinterpret_cast<const char*>(data) + 1, size - 1);
    check_file({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
  }
  return 0;
}
