// Bits per byte of a text under a model, in windows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "fourge/error.h"
#include "quant/model/model.h"

namespace fourge::quant {

/// How a file's bytes become token ids.
enum class TokenEncoding : std::uint8_t {
  automatic,  // .npy: its type; else bytes when the vocabulary is 256, refused otherwise
  bytes,
  u16,  // little-endian
  u32,
};
constexpr const char* name_of(TokenEncoding e) {
  switch (e) {
    case TokenEncoding::automatic:
      return "auto";
    case TokenEncoding::bytes:
      return "bytes";
    case TokenEncoding::u16:
      return "u16";
    case TokenEncoding::u32:
      return "u32";
  }
  return "";
}

/// At most `most` tokens (0: all). kNotFound, kIo, kBadFile, kBadArgument with what was expected.
Result<std::vector<std::uint32_t>> read_tokens(const std::filesystem::path& path, TokenEncoding encoding,
                                               std::int64_t vocabulary, std::int64_t most);

struct Evaluation {
  std::int64_t windows = 0;
  std::int64_t scored_tokens = 0;
  double nats = 0.0;                // sum of -ln p(next token)
  std::vector<double> window_nats;  // of each window

  double bits_per_token() const;
  double perplexity() const;  // per token
};

/// Non-overlapping windows of `window` tokens, each alone from position 0; the first token of a window is not
/// scored. A last partial window counts when it has at least 2 tokens.
/// `progress` is called after each window.
Result<Evaluation> evaluate(LanguageModel& model, std::span<const std::uint32_t> ids, std::int64_t window,
                            const std::function<void()>& progress = {});

/// -ln softmax(logits)[target] for each row of tokens x vocabulary.
double sum_of_nats(std::span<const float> logits, std::span<const std::uint32_t> targets);

}  // namespace fourge::quant
