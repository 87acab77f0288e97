#include "tools/cli/gemm_spec_text.h"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace fourge::cli {

const char* const kGemmSpecHelp =
    "SPEC is the word gemm and any of\n"
    "  MxNxK                    sizes, default 512x4096x4096\n"
    "  nvfp4|mxfp4|mxfp4_b16    format, default nvfp4\n"
    "  blackwell|fast           numerics, default blackwell\n"
    "  output=f32|bf16|f16      type of D, default f32\n"
    "  activations=same|bf16|f32   same: in the weights' format (default)\n"
    "  bias, accumulate         a bias in the epilogue; the chain starts from C\n"
    "  mc=N, kc=N               cache blocks instead of those of the plan: rows of A, elements along k";

namespace {

constexpr GemmSpec kDefault = {.m = 512, .n = 4096, .k = 4096};

template <class Enum, std::size_t kCount>
std::optional<Enum> value_of(const std::array<Enum, kCount>& values, std::string_view name) {
  for (const Enum value : values) {
    if (name == name_of(value)) return value;
  }
  return std::nullopt;
}

constexpr std::array kFormatValues = {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16};
constexpr std::array kNumericsValues = {Numerics::blackwell, Numerics::fast};
constexpr std::array kOutputValues = {OutputType::f32, OutputType::bf16, OutputType::f16};
constexpr std::array kActivationsValues = {Activations::same, Activations::bf16, Activations::f32};

template <class Enum>
bool set(Enum& field, const std::optional<Enum>& value) {
  if (value) field = *value;
  return value.has_value();
}

// "512x4096x4096"
bool set_sizes(GemmSpec& spec, std::string_view word) {
  std::array<std::int64_t, 3> sizes{};
  const char* at = word.data();
  const char* const end = word.data() + word.size();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, sizes[i]);
    const bool separated = i + 1 == sizes.size() ? next == end : next != end && *next == 'x';
    if (error != std::errc() || !separated) return false;
    at = next + 1;
  }
  spec.m = sizes[0];
  spec.n = sizes[1];
  spec.k = sizes[2];
  return true;
}

// "mc=256" with a prefix of three letters.
bool set_block(std::int64_t& block, std::string_view word) {
  const std::string_view digits = word.substr(3);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), block);
  return error == std::errc() && end == digits.data() + digits.size() && block > 0;
}

bool set_word(GemmSpec& spec, std::string_view word) {
  constexpr std::string_view kOutput = "output=", kActivations = "activations=";
  if (word == "bias") return spec.bias = true;
  if (word == "accumulate") return spec.accumulate = true;
  if (word.substr(0, 3) == "mc=") return set_block(spec.blocking.mc, word);
  if (word.substr(0, 3) == "kc=") return set_block(spec.blocking.kc, word);
  if (word.substr(0, kOutput.size()) == kOutput)
    return set(spec.output, value_of(kOutputValues, word.substr(kOutput.size())));
  if (word.substr(0, kActivations.size()) == kActivations)
    return set(spec.activations, value_of(kActivationsValues, word.substr(kActivations.size())));
  return set(spec.format, value_of(kFormatValues, word)) ||
         set(spec.numerics, value_of(kNumericsValues, word)) || set_sizes(spec, word);
}

}  // namespace

Result<GemmSpec> parse_gemm_spec(const std::vector<std::string>& words) {
  if (words.empty() || words.front() != "gemm") {
    return {Error::kBadArgument, "expected an operation first: gemm",
            fmt::format("SPEC '{}'", words.empty() ? "" : words.front())};
  }
  GemmSpec spec = kDefault;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (!set_word(spec, words[i])) {
      return {
          Error::kBadArgument,
          "expected MxNxK, nvfp4, mxfp4, mxfp4_b16, blackwell, fast, output=TYPE, activations=TYPE, bias, "
          "accumulate, mc=N or kc=N",
          fmt::format("SPEC '{}'", words[i])};
    }
  }
  if (const Status valid = check(spec); !valid.ok()) return valid.failure();
  return spec;
}

std::string gemm_spec_text(const GemmSpec& spec) {
  std::string text = fmt::format("gemm {} {} {}x{}x{}", name_of(spec.format), name_of(spec.numerics), spec.m,
                                 spec.n, spec.k);
  if (spec.output != kDefault.output) text += fmt::format(" output={}", name_of(spec.output));
  if (spec.activations != kDefault.activations)
    text += fmt::format(" activations={}", name_of(spec.activations));
  if (spec.bias) text += " bias";
  if (spec.accumulate) text += " accumulate";
  if (spec.blocking.mc != 0) text += fmt::format(" mc={}", spec.blocking.mc);
  if (spec.blocking.kc != 0) text += fmt::format(" kc={}", spec.blocking.kc);
  return text;
}

}  // namespace fourge::cli
