#include "quant/model/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string>

#include "quant/mapped_file.h"
#include "quant/model/vector_kernels.h"
#include "quant/npy.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

template <class Stored>
std::vector<std::uint32_t> widen(std::span<const std::uint8_t> bytes, std::size_t count) {
  std::vector<std::uint32_t> ids(count);
  for (std::size_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    ids[i] = static_cast<std::uint32_t>(stored);  // negative ids end up beyond every vocabulary
  }
  return ids;
}

std::size_t capped(std::size_t count, std::int64_t most) {
  return most > 0 ? std::min(count, static_cast<std::size_t>(most)) : count;
}

Result<std::vector<std::uint32_t>> read_npy_tokens(const std::filesystem::path& path, std::int64_t most) {
  const Result<NpyFile> file = NpyFile::open(path);
  if (!file) return file.failure();
  const std::size_t count = capped(static_cast<std::size_t>(file->tensor().elements()), most);
  switch (file->dtype()) {
    case DType::u8:
      return widen<std::uint8_t>(file->bytes(), count);
    case DType::u16:
      return widen<std::uint16_t>(file->bytes(), count);
    case DType::u32:
      return widen<std::uint32_t>(file->bytes(), count);
    case DType::i32:
      return widen<std::int32_t>(file->bytes(), count);
    case DType::i64:
      return widen<std::int64_t>(file->bytes(), count);
    default:
      return {Error::kUnsupportedFormat, "expected token ids of type u1, u2, u4, i4 or i8",
              printable(path.string()) + ": dtype " + std::string(name_of(file->dtype()))};
  }
}

Status check_ids(std::span<const std::uint32_t> ids, std::int64_t vocabulary, const std::string& where) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < static_cast<std::uint64_t>(vocabulary)) continue;
    return {Error::kBadFile, "a token id is beyond the model's vocabulary",
            where + ": token " + std::to_string(i) + ": id " + std::to_string(ids[i]) + ", vocabulary " +
                std::to_string(vocabulary)};
  }
  return {};
}

}  // namespace

Result<std::vector<std::uint32_t>> read_tokens(const std::filesystem::path& path, TokenEncoding encoding,
                                               std::int64_t vocabulary, std::int64_t most) {
  const std::string where = printable(path.string());
  std::vector<std::uint32_t> ids;
  if (encoding == TokenEncoding::automatic && path.extension() == ".npy") {
    Result<std::vector<std::uint32_t>> read = read_npy_tokens(path, most);
    if (!read) return read;
    ids = std::move(*read);
  } else {
    if (encoding == TokenEncoding::automatic && vocabulary != 256) {
      return {Error::kBadArgument,
              "only a vocabulary of 256 reads text byte by byte; give token ids as .npy, or --tokens u16|u32",
              where + ": vocabulary " + std::to_string(vocabulary)};
    }
    const Result<MappedFile> file = MappedFile::open(path);
    if (!file) return file.failure();
    const std::span<const std::uint8_t> bytes = file->bytes();
    const std::size_t width = encoding == TokenEncoding::u16 ? 2 : encoding == TokenEncoding::u32 ? 4 : 1;
    if (bytes.size() % width != 0) {
      return {Error::kBadFile, "the file ends inside a token id",
              where + ": " + std::to_string(bytes.size()) + " bytes"};
    }
    const std::size_t count = capped(bytes.size() / width, most);
    ids = width == 1   ? widen<std::uint8_t>(bytes, count)
          : width == 2 ? widen<std::uint16_t>(bytes, count)
                       : widen<std::uint32_t>(bytes, count);
  }
  if (Status valid = check_ids(ids, vocabulary, where); !valid) return valid.failure();
  return ids;
}

double Evaluation::bits_per_token() const {
  return nats / std::numbers::ln2 / static_cast<double>(scored_tokens);
}
double Evaluation::perplexity() const { return std::exp(nats / static_cast<double>(scored_tokens)); }

double sum_of_nats(std::span<const float> logits, std::span<const std::uint32_t> targets) {
  const auto rows = static_cast<std::int64_t>(targets.size());
  const std::int64_t vocabulary = static_cast<std::int64_t>(logits.size()) / rows;
  std::vector<double> nats(targets.size());
#pragma omp parallel for
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* x = logits.data() + row * vocabulary;
    const auto at = static_cast<std::size_t>(row);
    nats[at] = static_cast<double>(log_sum_exp(x, vocabulary)) - static_cast<double>(x[targets[at]]);
  }
  double total = 0.0;
  for (const double n : nats) total += n;
  return total;
}

Result<Evaluation> evaluate(LanguageModel& model, std::span<const std::uint32_t> ids, std::int64_t window,
                            const std::function<void()>& progress) {
  if (window < 2) return {Error::kBadArgument, "a window needs at least 2 tokens", std::to_string(window)};
  if (ids.size() < 2) return {Error::kBadArgument, "expected at least 2 tokens to score"};
  Evaluation result;
  const auto width = static_cast<std::size_t>(window);
  for (std::size_t first = 0; first + 1 < ids.size(); first += width) {
    const std::span<const std::uint32_t> tokens = ids.subspan(first, std::min(width, ids.size() - first));
    const Result<std::vector<float>> logits = model.forward(tokens);
    if (!logits) return logits.failure();
    const std::size_t scored = tokens.size() - 1;
    const std::size_t vocabulary = logits->size() / tokens.size();
    result.window_nats.push_back(
        sum_of_nats(std::span(*logits).first(scored * vocabulary), tokens.subspan(1)));
    result.nats += result.window_nats.back();
    result.scored_tokens += static_cast<std::int64_t>(scored);
    ++result.windows;
    if (progress) progress();
  }
  return result;
}

}  // namespace fourge::quant
