#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <span>

#include "fourge/quantize.h"
#include "quant/hadamard.h"
#include "quant/quantize.h"
#include "quant/safetensors.h"
#include "tests/quant/golden.h"
#include "tests/quant/golden_manifest.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

using quant::DType;
using quant::Safetensors;
using quant::SafetensorsWriter;
using quant::Tensor;

std::vector<std::uint8_t> bytes_of(const std::vector<float>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<float> gaussian(std::size_t count) {
  std::mt19937 engine(17);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& x : values) x = normal(engine);
  return values;
}

/// w F32 [6, 64], bias F32 [6], cube U8 [2, 2, 2], and metadata.
class QuantizeTensorCommand : public testing::Test {
 protected:
  void SetUp() override {
    SafetensorsWriter writer;
    ASSERT_TRUE(writer.add_owned("w", DType::f32, {6, 64}, bytes_of(w_)).ok());
    ASSERT_TRUE(writer.add_owned("bias", DType::f32, {6}, bytes_of(gaussian(6))).ok());
    ASSERT_TRUE(writer.add_owned("cube", DType::u8, {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}).ok());
    ASSERT_TRUE(writer.add_metadata("format", "pt").ok());
    ASSERT_TRUE(writer.write(in()).ok());
  }

  std::string in() const { return (folder_ / "in.safetensors").string(); }
  std::string out() const { return (folder_ / "out.safetensors").string(); }
  std::vector<std::string> command(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"quantize-tensor", in(), "--out", out()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  void write_one(DType dtype, std::vector<std::int64_t> shape, std::vector<std::uint8_t> bytes) const {
    SafetensorsWriter writer;
    ASSERT_TRUE(writer.add_owned("t", dtype, std::move(shape), std::move(bytes)).ok());
    ASSERT_TRUE(writer.write(in()).ok());
  }
  /// Refused with this line, and an output that existed is still there.
  void expect_refused_and_unharmed(const std::vector<std::string>& more, const std::string& line) const {
    write_bytes(out(), {'o', 'l', 'd'});
    const std::size_t entries = folder_.entries();
    expect_refused(command(more), "fourge quantize-tensor: " + line);
    EXPECT_EQ(read_bytes(out()), (std::vector<std::uint8_t>{'o', 'l', 'd'}));
    EXPECT_EQ(folder_.entries(), entries);
  }

  const TemporaryFolder folder_;
  const std::vector<float> w_ = gaussian(6 * 64);
};

void expect_tensor(const Safetensors& file, const std::string& name, DType dtype,
                   const std::vector<std::int64_t>& shape, const std::vector<std::uint8_t>& bytes) {
  const Result<Tensor> tensor = file.find(name);
  ASSERT_TRUE(tensor.ok()) << tensor.failure().message();
  EXPECT_EQ(tensor->dtype, dtype);
  EXPECT_EQ(tensor->shape, shape);
  EXPECT_EQ(std::vector<std::uint8_t>(tensor->bytes.begin(), tensor->bytes.end()), bytes) << name;
}

TEST_F(QuantizeTensorCommand, WritesWhatTheLibraryComputes) {
  const struct {
    Format format;
    ScaleRule rule;
  } rules[] = {{Format::nvfp4, ScaleRule::static_6},    {Format::nvfp4, ScaleRule::static_4},
               {Format::nvfp4, ScaleRule::mse_4_6},     {Format::nvfp4, ScaleRule::mae_4_6},
               {Format::nvfp4, ScaleRule::abs_max_4_6}, {Format::mxfp4, ScaleRule::floor},
               {Format::mxfp4, ScaleRule::ceil},        {Format::mxfp4, ScaleRule::even},
               {Format::mxfp4, ScaleRule::rceil},       {Format::mxfp4, ScaleRule::static_6},
               {Format::mxfp4, ScaleRule::static_4}};
  for (const auto& [format, rule] : rules) {
    for (const bool block_2d : {false, true}) {
      for (const std::int64_t rotate : {0, 16}) {
        SCOPED_TRACE(std::string(name_of(format)) + " " + name_of(rule));
        std::vector<std::string> options = {"--json", "--format", name_of(format), "--scale-rule",
                                            name_of(rule)};
        if (block_2d) options.push_back("--block-2d");
        if (rotate != 0) options.insert(options.end(), {"--rotate", std::to_string(rotate)});
        const nlohmann::json report = json_of(command(options));

        std::vector<float> values = w_;
        if (rotate != 0) {
          ASSERT_TRUE(quant::hadamard_blocks(values, rotate).ok());
        }
        const Result<QuantizedMatrix> expected =
            quantize(values, 6, 64, {.format = format, .rule = rule, .block_2d = block_2d});
        const Result<Safetensors> file = Safetensors::open(out());
        ASSERT_TRUE(file.ok()) << file.failure().message();
        EXPECT_EQ(file->tensors().size(), 5u);
        expect_tensor(*file, "w.codes", DType::u8, {6, 32}, expected->codes);
        expect_tensor(*file, "w.scales", DType::u8, {6, 64 / info(format).block}, expected->scales);
        expect_tensor(*file, "w.amax", DType::f32, {1}, bytes_of({expected->amax}));
        expect_tensor(*file, "cube", DType::u8, {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
        EXPECT_EQ(file->find("bias")->shape, (std::vector<std::int64_t>{6}));
        EXPECT_EQ(file->metadata().at("format"), "pt");
        EXPECT_EQ(file->metadata().at("fourge.format"), name_of(format));
        EXPECT_EQ(file->metadata().at("fourge.scale_rule"), name_of(rule));
        EXPECT_EQ(file->metadata().at("fourge.rotate"), std::to_string(rotate));
        EXPECT_EQ(file->metadata().at("fourge.block_2d"), block_2d ? "true" : "false");

        ASSERT_EQ(report["tensors"].size(), 1u);
        EXPECT_EQ(report["tensors"][0]["name"], "w");
        EXPECT_EQ(report["tensors"][0]["amax"].get<float>(), expected->amax);
        EXPECT_NEAR(report["tensors"][0]["relative_error"].get<double>(), 0.1, 0.06);
        EXPECT_EQ(report["copied"].size(), 2u);
      }
    }
  }
}

// Through the program: pieces of others' vectors that hold their matrix's largest value, so that amax agrees.
TEST_F(QuantizeTensorCommand, MatchesGoldenPieces) {
  const Result<Safetensors> golden = Safetensors::open(test_data() / "quant" / "golden.safetensors");
  ASSERT_TRUE(golden.ok());
  int cases = 0;
  for (const char* name : {"paper_example_f32", "gauss_bf16"}) {
    const Result<Tensor> input = golden->find(name);
    const float whole = (*quant::tensor_to_f32(*golden->find(std::string(name) + ".amax")))[0];
    ASSERT_EQ(quant::tensor_amax(*quant::tensor_to_f32(*input)), whole);
    for (const char* rule : {"static_6", "static_4", "mse", "mae", "abs_max"}) {
      SCOPED_TRACE(std::string(name) + " " + rule);
      write_one(input->dtype, input->shape, {input->bytes.begin(), input->bytes.end()});
      const ProgramResult result = run_fourge(command({"--format", "nvfp4", "--scale-rule", rule}));
      ASSERT_EQ(result.exit_code, 0) << result.err;
      const Result<Safetensors> file = Safetensors::open(out());
      for (const char* part : {".codes", ".scales"}) {
        const Result<Tensor> expected = golden->find(std::string(name) + "/nvfp4_" + rule + part);
        expect_tensor(*file, std::string("t") + part, DType::u8, expected->shape,
                      {expected->bytes.begin(), expected->bytes.end()});
      }
      ++cases;
    }
  }
  EXPECT_EQ(cases, 10);
}

// Every input of shared/golden/quant in one file, through the program, for every rule.
TEST_F(QuantizeTensorCommand, MatchesTheWholeGoldenFolder) {
  FOURGE_NEEDS_SHARED(shared);
  const quant::GoldenManifest golden(shared / "golden" / "quant");
  SafetensorsWriter writer;
  for (const quant::GoldenMatrix& input : golden.inputs()) {
    const std::vector<std::int64_t> shape = {input.matrix.rows, input.matrix.cols};
    ASSERT_TRUE(writer.add_owned(input.name, DType::f32, shape, bytes_of(input.matrix.values)).ok());
  }
  ASSERT_TRUE(writer.write(in()).ok());
  std::map<std::string, Result<Safetensors>> outputs;  // by the options that made them
  int cases = 0;
  for (const quant::GoldenCase& expected : golden.cases()) {
    SCOPED_TRACE(expected.key);
    const QuantizeSpec& spec = expected.spec;
    const std::string rule =
        std::string(name_of(spec.format)) + " " + name_of(spec.rule) + (spec.block_2d ? " 2d" : "");
    if (outputs.find(rule) == outputs.end()) {
      std::vector<std::string> options = {"--format", name_of(spec.format), "--scale-rule",
                                          name_of(spec.rule)};
      if (spec.block_2d) options.push_back("--block-2d");
      const ProgramResult result = run_fourge(command(options));
      ASSERT_EQ(result.exit_code, 0) << result.err;
      outputs.emplace(rule, Safetensors::open(out()));
    }
    const Safetensors& file = *outputs.at(rule);
    const Result<Tensor> codes = file.find(expected.input + ".codes"),
                         scales = file.find(expected.input + ".scales");
    ASSERT_TRUE(codes.ok() && scales.ok());
    QuantizedMatrix ours;
    ours.format = spec.format;
    ours.rows = codes->shape[0];
    ours.cols = codes->shape[1] * 2;
    ours.codes.assign(codes->bytes.begin(), codes->bytes.end());
    ours.scales.assign(scales->bytes.begin(), scales->bytes.end());
    const quant::Mismatches count = quant::compare(ours, expected.codes(), expected.scales());
    if (expected.scales_are_canonical) {
      EXPECT_EQ(count.scales, 0);
    }
    EXPECT_EQ(count.codes, 0);
    EXPECT_EQ(count.codes_under_zero, 0);
    ++cases;
  }
  EXPECT_EQ(cases, 17 * 12 + 5 * 4);
  EXPECT_EQ(outputs.size(), 16u);
  for (const char* absent : {"odd_shape_100x200_bf16", "fp16_gauss", "blockrange7_f32"}) {
    const bool is_there =
        std::any_of(golden.inputs().begin(), golden.inputs().end(),
                    [absent](const quant::GoldenMatrix& input) { return input.name == absent; });
    if (!is_there)
      std::cout << "not compared: " << absent << " is in the README of golden/quant, not in its manifest\n";
  }
}

// The files of shared/golden/quant/rht, through the program.
TEST_F(QuantizeTensorCommand, MatchesTheGoldenRotationAndTranspose) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path inputs = shared / "golden" / "quant" / "inputs",
                              golden = shared / "golden" / "quant" / "rht";
  const struct {
    std::filesystem::path input;
    const char* option;
    const char* rule;
    const char* stem;
  } cases[] = {{inputs / "gauss_bf16.bf16bits.npy", "--rht", "static_6", "rht_static_6"},
               {inputs / "gauss_bf16.bf16bits.npy", "--rht", "mse", "rht_mse"},
               {golden / "transpose_input.bf16bits.npy", "--transpose", "mse", "transpose_mse"}};
  for (const auto& [input, option, rule, stem] : cases) {
    SCOPED_TRACE(stem);
    const quant::GoldenInput x = quant::read_golden_input(input);
    write_one(DType::f32, {x.rows, x.cols}, bytes_of(x.values));
    const nlohmann::json report =
        json_of(command({"--json", "--format", "nvfp4", "--scale-rule", rule, option}));
    EXPECT_TRUE(report[std::string(option).substr(2)].get<bool>());
    const Result<Safetensors> file = Safetensors::open(out());
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->metadata().at(std::string("fourge.") + (option + 2)), "true");
    for (const char* part : {".codes", ".scales"}) {
      const quant::GoldenBytes expected =
          quant::read_golden_bytes(golden / (std::string(stem) + part + ".npy"));
      expect_tensor(*file, std::string("t") + part, DType::u8, {expected.rows, expected.cols},
                    expected.bytes);
    }
  }
}

TEST_F(QuantizeTensorCommand, TransposesBeforeItRotates) {
  write_one(DType::f32, {32, 12}, bytes_of(std::vector<float>(w_.begin(), w_.begin() + 384)));
  for (const char* rotation : {"", "--rht", "--rotate=16"}) {
    std::vector<float> values = quant::transposed(std::span(w_).first(384), 32, 12);
    if (std::string(rotation) == "--rht") {
      ASSERT_TRUE(quant::randomized_hadamard_16(values).ok());
    } else if (*rotation != 0) {
      ASSERT_TRUE(quant::hadamard_blocks(values, 16).ok());
    }
    for (const char* rule : {"mse", "quest", "sweep"}) {
      SCOPED_TRACE(std::string(rotation) + " " + rule);
      std::vector<std::string> options = {"--json", "--format", "nvfp4", "--scale-rule", rule, "--transpose"};
      if (*rotation != 0) options.emplace_back(rotation);
      const nlohmann::json report = json_of(command(options));
      const Result<QuantizedMatrix> expected =
          quantize(values, 12, 32, {.rule = *quant::scale_rule_of_name(Format::nvfp4, rule)});
      const Result<Safetensors> file = Safetensors::open(out());
      expect_tensor(*file, "t.codes", DType::u8, {12, 16}, expected->codes);
      expect_tensor(*file, "t.scales", DType::u8, {12, 2}, expected->scales);
      expect_tensor(*file, "t.amax", DType::f32, {1}, bytes_of({expected->amax}));
      EXPECT_EQ(report["tensors"][0]["rows"], 12);
      const std::string by = report["computed_by"];
      EXPECT_EQ(by.find("quantize_nvfp4_" + std::string(rule) + "_f32"), 0u) << by;
    }
  }
}

TEST_F(QuantizeTensorCommand, SaysWhatItCopied) {
  const ProgramResult result = run_fourge(command({"--format", "nvfp4", "--scale-rule", "mse"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("copied bias F32 [6]: not two-dimensional"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("copied cube U8 [2, 2, 2]: not two-dimensional"), std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("1 quantized, 2 copied"), std::string::npos) << result.out;
}

TEST_F(QuantizeTensorCommand, OutputMayReplaceTheInput) {
  const ProgramResult result =
      run_fourge({"quantize-tensor", in(), "--out", in(), "--format", "nvfp4", "--scale-rule", "static_6"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(Safetensors::open(in())->contains("w.codes"));
}

TEST_F(QuantizeTensorCommand, RefusesOptionsThatDoNotFit) {
  expect_refused_and_unharmed({"--format", "nvfp4", "--scale-rule", "floor"},
                              "bad argument: scale rule 'floor': nvfp4 takes static_6, static_4, mse, mae, "
                              "abs_max, search, sweep or quest");
  expect_refused_and_unharmed({"--format", "mxfp4", "--scale-rule", "mse"},
                              "bad argument: scale rule 'mse': mxfp4 takes floor, ceil, even, rceil, "
                              "static_6, static_4, shift, search, sweep or quest");
  expect_refused_and_unharmed({"--format", "nvfp4", "--scale-rule", "static_6", "--rotate", "24"},
                              "bad argument: rotation of order 24: expected a power of two from 2 to 32768");
  expect_refused_and_unharmed({"--format", "nvfp4", "--scale-rule", "static_6", "--rotate", "128"},
                              "bad shape: " + in() +
                                  ": tensor 'w' F32 [6, 64], --rotate 128: expected columns in "
                                  "multiples of the rotation");
  expect_refused_and_unharmed({"--format", "nvfp4", "--scale-rule", "static_6", "--transpose"},
                              "bad shape: " + in() +
                                  ": tensor 'w' F32 [6, 64]: nvfp4 expects rows in multiples of 16 under "
                                  "--transpose");
  expect_refused_and_unharmed(
      {"--format", "nvfp4", "--scale-rule", "static_6", "--tensor", "v"},
      "not found: " + in() + ": tensor 'v' among 3 (the first is 'bias'): no such tensor");
  expect_refused_and_unharmed({"--format", "nvfp4", "--scale-rule", "static_6", "--tensor", "bias"},
                              "bad shape: " + in() + ": tensor 'bias' F32 [6]: expected two dimensions");
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {"--format", "nvfp5", "--scale-rule", "mse"},
           {"--format", "nvfp4"},
           {"--scale-rule", "mse"},
           {"--format", "nvfp4", "--scale-rule", "mse", "--rotate", "-16"},
           {"--format", "nvfp4", "--scale-rule", "mse", "--rotate", "x"},
           {"--format", "nvfp4", "--scale-rule", "mse", "--rotate", "16", "--rht"},
           {"--format", "nvfp4", "--scale-rule", "mse", "--no-such-option"}}) {
    const ProgramResult result = run_fourge(command(options));
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err.find("fourge quantize-tensor: "), 0u) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  }
}

TEST_F(QuantizeTensorCommand, RefusesInputThatDoesNotFit) {
  const std::vector<std::string> nvfp4 = {"--format", "nvfp4", "--scale-rule", "static_6"};
  write_one(DType::f32, {2, 24}, bytes_of(std::vector<float>(48, 1.0f)));
  expect_refused_and_unharmed(
      nvfp4, "bad shape: " + in() + ": tensor 't' F32 [2, 24]: nvfp4 expects columns in multiples of 16");
  write_one(DType::f32, {2, 48}, bytes_of(std::vector<float>(96, 1.0f)));
  expect_refused_and_unharmed(
      {"--format", "mxfp4", "--scale-rule", "floor"},
      "bad shape: " + in() + ": tensor 't' F32 [2, 48]: mxfp4 expects columns in multiples of 32");
  write_one(DType::i32, {1, 16}, std::vector<std::uint8_t>(64));
  expect_refused_and_unharmed(nvfp4,
                              "unsupported format: " + in() +
                                  ": tensor 't' I32 [1, 16]: expected F64, F32, F16, BF16, F8_E4M3, F8_E5M2, "
                                  "F8_E8M0 or F4");
  std::vector<float> values(64, 1.0f);
  values[35] = std::nanf("");
  write_one(DType::f32, {2, 32}, bytes_of(values));
  expect_refused_and_unharmed(nvfp4,
                              "bad argument: " + in() +
                                  ": tensor 't' F32 [2, 32]: element [1, 3] is nan: expected finite values "
                                  "that fit f32");
  write_one(DType::f32, {32}, std::vector<std::uint8_t>(128));
  expect_refused_and_unharmed(
      nvfp4, "bad shape: " + in() + ": 1 tensors: expected at least one tensor of two dimensions");
  std::vector<std::uint8_t> truncated = read_bytes(in());
  truncated.pop_back();
  write_bytes(in(), truncated);
  expect_refused_and_unharmed(nvfp4,
                              "bad file: " + in() +
                                  ": tensor 't': data_offsets [0, 128] of 127 data bytes: data_offsets lie "
                                  "outside the file");
  std::filesystem::remove(in());
  expect_refused_and_unharmed(nvfp4, "not found: " + in() + ": no such file");
}

TEST_F(QuantizeTensorCommand, RefusesNamesThatCollide) {
  SafetensorsWriter writer;
  ASSERT_TRUE(writer.add_owned("w", DType::f32, {1, 16}, std::vector<std::uint8_t>(64)).ok());
  ASSERT_TRUE(writer.add_owned("w.codes", DType::u8, {3}, std::vector<std::uint8_t>(3)).ok());
  ASSERT_TRUE(writer.write(in()).ok());
  expect_refused_and_unharmed({"--format", "nvfp4", "--scale-rule", "mse"},
                              "bad argument: tensor 'w.codes': the name is taken");
}

TEST_F(QuantizeTensorCommand, RefusesOutputsThatCannotBe) {
  const std::string folder = folder_.path().string();
  expect_refused({"quantize-tensor", in(), "--format", "nvfp4", "--scale-rule", "mse", "--out", folder},
                 "fourge quantize-tensor: bad argument: " + folder + ": exists and is not a regular file");
  expect_refused(
      {"quantize-tensor", in(), "--format", "nvfp4", "--scale-rule", "mse", "--out", folder + "/a/b"},
      "fourge quantize-tensor: not found: " + folder + "/a: no such folder for the output");
}

}  // namespace
}  // namespace fourge::tests
