// fourge convert --as: every naming, layout, nibble order and direction gives the values that were stored.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "fourge/quantize.h"
#include "quant/npy.h"
#include "quant/safetensors.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/cli.h"
#include "tools/cli/matrix_file.h"

namespace fourge::tests {
namespace {

using quant::DType;

template <class T>
std::vector<std::uint8_t> bytes_of(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

constexpr std::int64_t kRows = 5, kCols = 192;

std::vector<float> values() {
  std::vector<float> x(kRows * kCols);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>((i * 2654435761u % 2001)) / 100.0f - 10.0f;
  return x;
}

class ConvertTensors : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  void convert(const std::string& from, const std::string& to, std::vector<std::string> options) const {
    options.insert(options.begin(), {"convert", path(from), "--out", path(to)});
    const ProgramResult result = run_fourge(options);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }

  // The matrix "w" and a plain tensor "bias".
  QuantizedMatrix write_source(Format format, ScaleRule rule) const {
    QuantizedMatrix matrix = *quantize(values(), kRows, kCols, {.format = format, .rule = rule});
    const cli::MatrixFile content{{{"w", cli::Naming::fourge, matrix}}, {bias()}};
    EXPECT_TRUE(cli::write_matrices(content, source_options()));
    return matrix;
  }
  cli::WriteOptions source_options() const {
    cli::WriteOptions options;
    options.output = path("source.safetensors");
    options.naming = cli::Naming::fourge;
    return options;
  }
  cli::FileTensor bias() const { return {"bias", "F32", DType::f32, Format::nvfp4, {2}, bias_bytes_}; }

  QuantizedMatrix read(const std::string& name, const cli::ReadHints& hints = {}) const {
    const auto file = cli::TensorFile::open(path(name));
    EXPECT_TRUE(file) << file.failure().message();
    const auto content = cli::read_matrices(*file, hints);
    EXPECT_TRUE(content) << content.failure().message();
    EXPECT_EQ(content->matrices.size(), 1u);
    EXPECT_EQ(content->plain.size(), 1u);
    EXPECT_EQ(content->matrices[0].stem, "w");
    return content->matrices[0].matrix;
  }

  TemporaryFolder folder_;
  std::vector<std::uint8_t> bias_bytes_ = bytes_of(std::vector<float>{1.5f, -2.0f});
};

void expect_same(const QuantizedMatrix& got, const QuantizedMatrix& want, const std::string& what) {
  EXPECT_EQ(got.format, want.format) << what;
  EXPECT_EQ(got.codes, want.codes) << what;
  EXPECT_EQ(got.scales, want.scales) << what;
  EXPECT_FLOAT_EQ(got.tensor_scale.as_decode_multiplier(), want.tensor_scale.as_decode_multiplier()) << what;
}

TEST_F(ConvertTensors, EveryNamingThereAndBack) {
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    const QuantizedMatrix source =
        write_source(format, format == Format::nvfp4 ? ScaleRule::mse_4_6 : ScaleRule::rceil);
    for (const std::string as : {"compressed-tensors", "modelopt", "fp-quant", "gpt-oss", "gguf"}) {
      const bool nv = format == Format::nvfp4;
      const std::string what = std::string(name_of(format)) + " " + as;
      if (nv ? as == "gpt-oss" : as == "modelopt" || as == "fp-quant") {
        const ProgramResult refused = run_fourge(
            {"convert", path("source.safetensors"), "--as", as, "--out", path("refused.safetensors")});
        EXPECT_EQ(refused.exit_code, 2) << what;
        EXPECT_NE(refused.err.find(as + " holds "), std::string::npos) << refused.err;
        continue;
      }
      const std::string file = as == "gguf" ? "there.gguf" : "there.safetensors";
      convert("source.safetensors", file, {"--as", as});
      expect_same(read(file), source, what);
      convert(file, "back.safetensors", {"--as", "fourge"});
      expect_same(read("back.safetensors"), source, what);
    }
  }
}

TEST_F(ConvertTensors, EveryLayoutNibbleOrderAndDirection) {
  for (const Format format : {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16}) {
    const QuantizedMatrix source =
        write_source(format, format == Format::nvfp4 ? ScaleRule::static_6 : ScaleRule::floor);
    for (const std::string layout : {"linear", "swizzled_128x4", "swizzled_8x4"}) {
      for (const std::string nibbles : {"low_first", "high_first", "halves"}) {
        const std::string direction = nibbles == "halves" ? "encode" : "decode";
        convert("source.safetensors", "there.safetensors",
                {"--as", "fourge", "--layout", layout, "--nibbles", nibbles, "--direction", direction});
        expect_same(read("there.safetensors"), source, layout + " " + nibbles);
        const auto raw = quant::Safetensors::open(path("there.safetensors"));
        ASSERT_TRUE(raw);
        EXPECT_TRUE(raw->contains("w." + direction + "_scale"));
        const auto codes = raw->find("w.codes"), scales = raw->find("w.scales");
        const std::vector<std::uint8_t> stored(codes->bytes.begin(), codes->bytes.end());
        EXPECT_EQ(stored == source.codes, nibbles == "low_first");
        if (nibbles == "high_first") {
          EXPECT_EQ(stored[0], static_cast<std::uint8_t>(source.codes[0] << 4 | source.codes[0] >> 4));
        }
        const bool linear = layout == "linear";
        EXPECT_EQ(scales->shape[0], linear ? kRows : layout == "swizzled_8x4" ? 8 : 128);
        // Scale (1, 1) where the layout's formula has it.
        const auto parsed = linear                     ? ScaleLayout::linear
                            : layout == "swizzled_8x4" ? ScaleLayout::swizzled_8x4
                                                       : ScaleLayout::swizzled_128x4;
        const std::int64_t columns = source.scale_cols();
        EXPECT_EQ(scales->bytes[static_cast<std::size_t>(scale_offset(parsed, 1, 1, columns))],
                  source.scales[static_cast<std::size_t>(columns + 1)]);
      }
    }
  }
}

TEST_F(ConvertTensors, FilesOfQuantizeTensorKeepTheirValues) {
  quant::SafetensorsWriter writer;
  ASSERT_TRUE(writer.add_owned("w", DType::f32, {kRows, kCols}, bytes_of(values())).ok());
  ASSERT_TRUE(writer.add_owned("bias", DType::f32, {2}, bias_bytes_).ok());
  ASSERT_TRUE(writer.write(path("plain.safetensors")).ok());
  for (const auto& [format, rule] : {std::pair("nvfp4", "static_6"),
                                     {"nvfp4", "static_4"},
                                     {"nvfp4", "mse"},
                                     {"nvfp4", "sweep"},
                                     {"mxfp4", "rceil"},
                                     {"mxfp4", "shift"}}) {
    const ProgramResult made = run_fourge({"quantize-tensor", path("plain.safetensors"), "--format", format,
                                           "--scale-rule", rule, "--out", path("made.safetensors")});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const Format f = std::string(format) == "nvfp4" ? Format::nvfp4 : Format::mxfp4;
    ScaleRule parsed{};
    for (const ScaleRule known : scale_rules_of(f))
      if (std::string(rule) == name_of(known)) parsed = known;
    expect_same(read("made.safetensors"), *quantize(values(), kRows, kCols, {.format = f, .rule = parsed}),
                std::string(format) + " " + rule);
  }
}

TEST_F(ConvertTensors, DecodesToNpyAndBack) {
  const QuantizedMatrix source = write_source(Format::nvfp4, ScaleRule::static_6);
  std::vector<float> want(kRows * kCols);
  ASSERT_TRUE(dequantize(source.view(), want));
  convert("source.safetensors", "w.npy", {"--as", "f32", "--tensor", "w"});
  const auto npy = quant::NpyFile::open(path("w.npy"));
  ASSERT_TRUE(npy) << npy.failure().message();
  EXPECT_EQ(npy->shape(), (std::vector<std::int64_t>{kRows, kCols}));
  EXPECT_EQ(std::memcmp(npy->bytes().data(), want.data(), want.size() * 4), 0);
  convert("w.npy", "w.gguf", {"--as", "bf16"});
  convert("w.gguf", "w.safetensors", {"--as", "f32"});
  const auto back = quant::Safetensors::open(path("w.safetensors"));
  ASSERT_TRUE(back);
  const auto tensor = back->find("w");
  ASSERT_TRUE(tensor);
  const auto rounded = quant::tensor_to_f32(*tensor);
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR((*rounded)[i], want[i], std::abs(want[i]) / 256);
}

TEST_F(ConvertTensors, MatricesWithoutKnownNames) {
  const QuantizedMatrix source = write_source(Format::nvfp4, ScaleRule::static_6);
  const std::int64_t code_shape[] = {kRows, kCols / 2}, scale_shape[] = {8, 12};
  std::vector<std::uint8_t> codes = source.codes, scales(8 * 12);
  cli::change_nibbles(cli::NibbleOrder::low_first, cli::NibbleOrder::high_first, Format::nvfp4, codes);
  convert_scales(ScaleLayout::linear, source.scales.data(), ScaleLayout::swizzled_8x4, scales.data(), kRows,
                 12);
  ASSERT_TRUE(quant::write_npy(path("w.npy"), DType::u8, code_shape, codes));
  ASSERT_TRUE(quant::write_npy(path("s.npy"), DType::u8, scale_shape, scales));
  convert("w.npy", "out.gguf",
          {"--as", "gguf", "--scales", path("s.npy"), "--from-layout", "swizzled_8x4", "--from-nibbles",
           "high_first", "--tensor-scale", "encode:2"});
  const auto file = cli::TensorFile::open(path("out.gguf"));
  ASSERT_TRUE(file);
  const auto content = cli::read_matrices(*file, {});
  ASSERT_TRUE(content && content->matrices.size() == 1u);
  EXPECT_EQ(content->matrices[0].matrix.codes, source.codes);
  EXPECT_EQ(content->matrices[0].matrix.scales, source.scales);
  EXPECT_EQ(content->matrices[0].matrix.tensor_scale, TensorScale::decode_multiplier(0.5f));
}

TEST_F(ConvertTensors, RefusalsSayWhy) {
  write_source(Format::nvfp4, ScaleRule::static_6);
  const std::string source = path("source.safetensors"), out = path("out.safetensors");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--as", "awq", "--out", out}, "awq: expected fourge, compressed-tensors, modelopt"},
      {{"--as", "gguf", "--out", out}, "--as gguf and a name ending in .gguf go together"},
      {{"--as", "fourge", "--out", path("out.bin")}, "expected a name ending in .safetensors, .gguf or .npy"},
      {{"--as", "modelopt", "--nibbles", "halves", "--out", out}, "go with --as fourge"},
      {{"--as", "f32", "--out", path("out.npy")}, "a .npy file holds one array"},
      {{"--as", "f32", "--tensor", "v", "--out", out}, "expected the name of a tensor"},
      {{"--as", "f32", "--from-layout", "swizzled_128x4", "--out", out},
       "expected scales for blocks of 16 or 32"},
      {{"--as", "f32", "--tensor", "w.codes", "--scales", "w.scales", "--tensor-scale", "2", "--out", out},
       "expected decode:X or encode:X"},
  };
  for (const auto& [options, text] : cases) {
    std::vector<std::string> command = {"convert", source};
    command.insert(command.end(), options.begin(), options.end());
    const ProgramResult result = run_fourge(command);
    EXPECT_EQ(result.exit_code, 2) << text;
    EXPECT_NE(result.err.find(text), std::string::npos) << result.err;
    EXPECT_FALSE(std::filesystem::exists(out)) << text;
  }
}

}  // namespace
}  // namespace fourge::tests
