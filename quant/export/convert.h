// From one 4-bit format on disk to another: codes and scales are repacked, never rounded again.
#pragma once

#include <filesystem>

#include "fourge/error.h"
#include "quant/export/gguf.h"
#include "quant/export/stored_model.h"

namespace fourge::quant {

/// A folder of any format to a folder of another. What the target cannot hold (rotations, tensor scales,
/// scale rules of activations) is refused before anything is written.
Status convert_folder(const std::filesystem::path& from, const std::filesystem::path& to,
                      StoredFormat stored);

/// A folder to one GGUF file: nvfp4 or mxfp4 layers without rotation; activations are not recorded. Rows of
/// q_proj and k_proj of Llama models are reordered as llama.cpp's rope asks. Float tensors become F32.
Status convert_to_gguf(const std::filesystem::path& from, const std::filesystem::path& to);

/// A GGUF file of Llama or Qwen3 with 4-bit layers to a fourge folder.
Status convert_from_gguf(const std::filesystem::path& from, const std::filesystem::path& to);

/// gpt-oss's MXFP4 experts: NAME_blocks u8 [E, out, K/32, 16] and NAME_scales u8 [E, out, K/32], as one
/// matrix of E * out rows. Byte j of a block holds elements 2j (low) and 2j + 1 (high), as here.
Result<QuantizedMatrix> from_gpt_oss(const Tensor& blocks, const Tensor& scales);

/// Every NAME_blocks / NAME_scales pair of a safetensors file as NAME.codes and NAME.scales; other tensors
/// are copied.
Status convert_gpt_oss(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace fourge::quant
