// A product written as words: "nvfp4 512x4096x4096 output=bf16 bias".
#pragma once

#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/gemm.h"

namespace fourge::cli {

/// What a word may be, for --help.
extern const char* const kGemmSpecHelp;

/// The spec that the words describe, checked. kBadArgument names the word and what was expected.
Result<GemmSpec> parse_gemm_spec(const std::vector<std::string>& words);

/// The words of a spec: parse_gemm_spec gives it back.
std::string gemm_spec_text(const GemmSpec& spec);

}  // namespace fourge::cli
