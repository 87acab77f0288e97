#include "quant/export/convert.h"

#include <algorithm>

#include "quant/export/output_folder.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

/// The recipe that would have made these layers, as far as check_stored_format() looks at it.
Result<Recipe> apparent_recipe(const Checkpoint& source, const StoredScheme& scheme) {
  Recipe recipe;
  recipe.weights.format = scheme.format;
  recipe.quantize_activations = scheme.quantize_activations;
  recipe.activation_rule = scheme.activation_rule;
  recipe.static_activations = true;
  recipe.rotations.clear();
  bool plain = true;
  for (std::int64_t layer = 0; layer < source.config().layers; ++layer) {
    for (const Linear linear : kLinears) {
      const Result<QuantizedLayer> stored = read_stored_layer(source, scheme, layer, linear);
      if (!stored) return stored.failure();
      recipe.static_activations &= stored->input.amax > 0.0f;
      plain &= stored->matrix.tensor_scale.value == 1.0f;
      const std::int64_t order = stored->input.rotation;
      if (std::find(recipe.rotations.begin(), recipe.rotations.end(), order) == recipe.rotations.end())
        recipe.rotations.push_back(order);
    }
  }
  recipe.weights.rule = scheme.format == Format::nvfp4 ? ScaleRule::static_6
                        : plain                        ? ScaleRule::floor
                                                       : ScaleRule::shift;
  return recipe;
}

Result<StoredScheme> quantized_scheme(const Checkpoint& source) {
  Result<StoredScheme> scheme = read_scheme(source);
  if (!scheme) return scheme;
  if (scheme->stored == StoredFormat::none)
    return {Error::kBadArgument, "expected 4-bit layers; fourge quantize makes them",
            printable(source.folder().string())};
  return scheme;
}

}  // namespace

Status convert_folder(const std::filesystem::path& from, const std::filesystem::path& to,
                      StoredFormat stored) {
  const Result<Checkpoint> source = Checkpoint::open(from);
  if (!source) return source.failure();
  const Result<StoredScheme> scheme = quantized_scheme(*source);
  if (!scheme) return scheme.failure();
  const Result<Recipe> recipe = apparent_recipe(*source, *scheme);
  if (!recipe) return recipe.failure();
  if (Status fits = check_stored_format(stored, *recipe); !fits) return fits;

  StoredScheme target = *scheme;
  target.stored = stored;
  Result<OutputFolder> folder =
      OutputFolder::open(to, *source, target, fnv1a(source->config_text() + name_of(stored)));
  if (!folder) return folder.failure();
  for (std::int64_t layer = 0; layer < source->config().layers; ++layer) {
    QuantizedBlock block;
    for (const Linear linear : kLinears) {
      Result<QuantizedLayer> read = read_stored_layer(*source, *scheme, layer, linear);
      if (!read) return read.failure();
      block.layer(linear) = std::move(*read);
    }
    if (Status written = folder->write_block(layer, block); !written) return written;
  }
  return folder->finish("");
}

Result<QuantizedMatrix> from_gpt_oss(const Tensor& blocks, const Tensor& scales) {
  const std::string where = "tensor " + in_quotes(blocks.name) + ": " + shape_text(blocks.shape) + " and " +
                            shape_text(scales.shape);
  const std::size_t rank = scales.shape.size();
  if (blocks.dtype != DType::u8 || scales.dtype != DType::u8 || rank < 2 || blocks.shape.size() != rank + 1 ||
      blocks.shape.back() != 16 ||
      !std::equal(scales.shape.begin(), scales.shape.end(), blocks.shape.begin()))
    return {Error::kBadFile, "expected U8 [..., K / 32, 16] blocks and U8 [..., K / 32] scales", where};
  QuantizedMatrix matrix;
  matrix.format = Format::mxfp4;
  matrix.cols = scales.shape.back() * 32;
  matrix.rows = scales.shape.back() == 0 ? 0 : scales.elements() / scales.shape.back();
  matrix.codes.assign(blocks.bytes.begin(), blocks.bytes.end());
  matrix.scales.assign(scales.bytes.begin(), scales.bytes.end());
  return matrix;
}

Status convert_gpt_oss(const std::filesystem::path& from, const std::filesystem::path& to) {
  const Result<Safetensors> file = Safetensors::open(from);
  if (!file) return file.failure();
  SafetensorsWriter writer;
  int pairs = 0;
  for (const Tensor& tensor : file->tensors()) {
    constexpr std::string_view kBlocks = "_blocks", kScales = "_scales";
    const std::string& name = tensor.name;
    const bool is_blocks = name.ends_with(kBlocks), is_scales = name.ends_with(kScales);
    const std::string stem = is_blocks || is_scales ? name.substr(0, name.size() - kBlocks.size()) : name;
    const Result<Tensor> scales = file->find(stem + std::string(kScales));
    if (is_scales && file->contains(stem + std::string(kBlocks))) continue;
    if (!is_blocks || !scales) {
      if (Status added = writer.add(name, tensor.dtype, tensor.shape, tensor.bytes); !added) return added;
      continue;
    }
    Result<QuantizedMatrix> matrix = from_gpt_oss(tensor, *scales);
    if (!matrix) return matrix.failure();
    const std::int64_t rows = matrix->rows, cols = matrix->cols;
    if (Status added =
            writer.add_owned(stem + ".codes", DType::u8, {rows, cols / 2}, std::move(matrix->codes));
        !added)
      return added;
    if (Status added =
            writer.add_owned(stem + ".scales", DType::u8, {rows, cols / 32}, std::move(matrix->scales));
        !added)
      return added;
    ++pairs;
  }
  if (pairs == 0)
    return {Error::kBadFile, "expected tensors NAME_blocks and NAME_scales", printable(from.string())};
  return writer.write(to);
}

}  // namespace fourge::quant
