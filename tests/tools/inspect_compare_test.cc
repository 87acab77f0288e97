// fourge inspect and fourge compare on files of each kind.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "fourge/quantize.h"
#include "quant/export/gguf.h"
#include "quant/npy.h"
#include "quant/safetensors.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/cli.h"
#include "tools/cli/tensor_statistics.h"

namespace fourge::tests {
namespace {

using nlohmann::json;
using quant::DType;

template <class T>
std::vector<std::uint8_t> bytes_of(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

class TensorFiles : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string npy(const std::string& name, const std::vector<float>& values) const {
    const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
    EXPECT_TRUE(quant::write_npy(path(name), DType::f32, shape, bytes_of(values)).ok());
    return path(name);
  }

  std::string safetensors(const std::string& name, const std::vector<float>& a,
                          const std::vector<float>& b) const {
    quant::SafetensorsWriter writer;
    EXPECT_TRUE(writer.add_owned("a", DType::f32, {static_cast<std::int64_t>(a.size())}, bytes_of(a)).ok());
    if (!b.empty()) {
      EXPECT_TRUE(writer.add_owned("b", DType::f32, {static_cast<std::int64_t>(b.size())}, bytes_of(b)).ok());
    }
    EXPECT_TRUE(writer.write(path(name)).ok());
    return path(name);
  }

  TemporaryFolder folder_;
};

TEST(TensorStatistics, MomentsOfKnownValues) {
  // Mean 2.5, squares 2.25 0.25 0.25 2.25: variance 1.25, fourth moment (5.0625 + 0.0625) / 2 = 2.5625.
  const std::vector<float> values = {
      1, 2, 3, 4, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()};
  const cli::TensorStatistics s = cli::statistics_of(values);
  EXPECT_EQ(s.mean, 2.5);
  EXPECT_DOUBLE_EQ(s.deviation, std::sqrt(1.25));
  EXPECT_DOUBLE_EQ(s.kurtosis, 2.5625 / (1.25 * 1.25));
  EXPECT_EQ(s.amax, 4);
  EXPECT_EQ(s.nans, 1);
  EXPECT_EQ(s.infinities, 1);
  EXPECT_EQ(cli::statistics_of(std::vector<float>{-3, 1}).amax, 3);
  EXPECT_EQ(cli::statistics_of(std::vector<float>{2, 2}).kurtosis, 0);
  EXPECT_EQ(cli::statistics_of({}).elements, 0);
}

TEST(ScaleHistogram, BinadesZerosAndNans) {
  // ue4m3: 0x38 = 1, 0x3f = 1.875, 0x40 = 2, 0x7e = 448, 0x7f NaN, 0x01 = 2^-9.
  const auto ue4m3 = cli::scale_histogram(
      ElementFormat::ue4m3, std::vector<std::uint8_t>{0x38, 0x3f, 0x40, 0x7e, 0x7f, 0x00, 0x01, 0x80});
  EXPECT_EQ(ue4m3.binades, (std::map<int, std::int64_t>{{-9, 1}, {0, 2}, {1, 1}, {8, 1}}));
  EXPECT_EQ(ue4m3.zeros, 1);
  EXPECT_EQ(ue4m3.nans, 2);  // the sign bit is none of this format
  EXPECT_EQ(ue4m3.largest, 448);
  const auto ue8m0 = cli::scale_histogram(ElementFormat::ue8m0, std::vector<std::uint8_t>{0, 127, 128, 0xff});
  EXPECT_EQ(ue8m0.binades, (std::map<int, std::int64_t>{{-127, 1}, {0, 1}, {1, 1}}));
  EXPECT_EQ(ue8m0.nans, 1);
}

TEST_F(TensorFiles, InspectGivesStatisticsOfEveryKind) {
  const std::vector<float> values = {0, -2, 1, 1};
  quant::GgufWriter gguf;
  gguf.add_tensor("t", quant::GgmlType::f32, {4}, bytes_of(values));
  ASSERT_TRUE(gguf.write(path("t.gguf")).ok());
  for (const auto& [file, kind] : {std::pair{npy("t.npy", values), "npy"},
                                   std::pair{safetensors("t.safetensors", values, {}), "safetensors"},
                                   std::pair{path("t.gguf"), "gguf"}}) {
    const json document = json_of({"inspect", file, "--json"});
    EXPECT_EQ(document["kind"], kind);
    ASSERT_EQ(document["tensors"].size(), 1u);
    const json& tensor = document["tensors"][0];
    EXPECT_EQ(tensor["format"], "F32");
    EXPECT_EQ(tensor["shape"], json({4}));
    EXPECT_EQ(tensor["statistics"]["amax"], 2.0);
    EXPECT_EQ(tensor["statistics"]["zeros"], 1);
    EXPECT_EQ(tensor["scale_histogram"], nullptr);
  }
}

TEST_F(TensorFiles, InspectShowsScalesAndCodesOfFourBitMatrices) {
  std::vector<float> values(4 * 64);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::ldexp(1.0f + static_cast<float>(i % 7), static_cast<int>(i / 64));
  const auto matrix = quantize(values, 4, 64, {.format = Format::mxfp4, .rule = ScaleRule::floor});
  ASSERT_TRUE(matrix.ok());
  const auto blocks = quant::to_gguf_blocks(matrix->view());
  ASSERT_TRUE(blocks.ok());
  quant::GgufWriter gguf;
  gguf.add_tensor("w", quant::GgmlType::mxfp4, {4, 64}, *blocks);
  ASSERT_TRUE(gguf.write(path("w.gguf")).ok());
  quant::SafetensorsWriter writer;
  ASSERT_TRUE(writer.add_owned("w.codes", DType::u8, {4, 32}, matrix->codes).ok());
  ASSERT_TRUE(writer.add_owned("w.scales", DType::u8, {4, 2}, matrix->scales).ok());
  ASSERT_TRUE(writer.write(path("w.safetensors")).ok());

  const json gguf_tensor = json_of({"inspect", path("w.gguf"), "--json"})["tensors"][0];
  const json pair = json_of({"inspect", path("w.safetensors"), "--json"})["tensors"];
  const json& codes = pair[pair[0]["name"] == "w.codes" ? 0 : 1];
  const json& scales = pair[pair[0]["name"] == "w.codes" ? 1 : 0];
  EXPECT_EQ(gguf_tensor["scale_histogram"]["total"], 8);
  EXPECT_EQ(gguf_tensor["scale_histogram"], scales["scale_histogram"]);
  EXPECT_EQ(gguf_tensor["code_histogram"], codes["code_histogram"]);
  EXPECT_EQ(gguf_tensor["scale_histogram"]["binades"].size(), 4u);  // a row, a binade
  const ProgramResult text = run_fourge({"inspect", path("w.gguf"), "--histograms"});
  EXPECT_NE(text.out.find("block scales by binade: 8 scales"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("e2m1 codes by magnitude: 256 codes"), std::string::npos) << text.out;
}

TEST_F(TensorFiles, InspectRefusesBadFilesAndNames) {
  std::ofstream(path("bad.gguf")) << "GGUF\x03";
  EXPECT_EQ(run_fourge({"inspect", path("bad.gguf")}).exit_code, 2);
  EXPECT_EQ(run_fourge({"inspect", path("none")}).exit_code, 2);
  const ProgramResult result = run_fourge({"inspect", npy("t.npy", {1}), "--tensor", "u"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("no tensor 'u' among 1, the first is 't'"), std::string::npos) << result.err;
}

TEST_F(TensorFiles, CompareOfTheSameIsTrue) {
  const std::string a = safetensors("a.safetensors", {1, NAN}, {2}),
                    b = safetensors("b.safetensors", {1, NAN}, {2});
  const json document = json_of({"compare", a, b, "--json"}, 0);
  EXPECT_EQ(document["same"], true);
  EXPECT_EQ(document["tensors"][0]["sqnr_db"], nullptr);
  EXPECT_EQ(run_fourge({"compare", npy("x.npy", {1}), npy("y.npy", {1})}).exit_code, 0);
}

TEST_F(TensorFiles, CompareCountsUlpsAndShowsTheFirstBits) {
  const float up = std::nextafter(1.0f, 2.0f);
  const float up3 = std::nextafter(std::nextafter(up, 2.0f), 2.0f);
  const std::string a = npy("a.npy", {5, 1, 1, 0.0f, 1}), b = npy("b.npy", {5, up, up3, -0.0f, NAN});
  const json tensor = json_of({"compare", a, b, "--json"}, 1)["tensors"][0];
  EXPECT_EQ(tensor["differing"], 4);
  EXPECT_EQ(tensor["largest_ulp"], nullptr);  // a NaN against a number
  EXPECT_EQ(tensor["ulp_histogram"],
            json::parse(R"([{"least": 0, "most": 0, "count": 1}, {"least": 1, "most": 1, "count": 1},
                            {"least": 3, "most": 4, "count": 1}, {"least": "nan", "most": "nan", "count": 1}])"));
  EXPECT_EQ(tensor["first"]["position"], 1);
  EXPECT_EQ(tensor["first"]["a_bits"], "0x3f800000");
  EXPECT_EQ(tensor["first"]["b_bits"], "0x3f800001");
  const ProgramResult text = run_fourge({"compare", a, b});
  EXPECT_NE(text.out.find("first differing element [1]: a 0x3f800000 = 1, b 0x3f800001 = 1.00000012"),
            std::string::npos)
      << text.out;
}

TEST_F(TensorFiles, CompareMeasuresNoise) {
  // Signal 4 * 1, noise 4 * 0.01: 20 dB.
  const std::string a = npy("a.npy", {1, -1, 1, -1}), b = npy("b.npy", {1.1f, -1.1f, 0.9f, -0.9f});
  EXPECT_NEAR(json_of({"compare", a, b, "--json"}, 1)["tensors"][0]["sqnr_db"].get<double>(), 20.0, 1e-5);
}

TEST_F(TensorFiles, CompareAcceptsWithinMaxUlp) {
  const std::string a = npy("a.npy", {1, 2}), b = npy("b.npy", {std::nextafter(1.0f, 0.0f), 2});
  EXPECT_EQ(run_fourge({"compare", a, b}).exit_code, 1);
  EXPECT_EQ(run_fourge({"compare", a, b, "--max-ulp", "1"}).exit_code, 0);
  const std::string c = npy("c.npy", {1, std::nextafter(std::nextafter(2.0f, 3.0f), 3.0f)});
  EXPECT_EQ(run_fourge({"compare", a, c, "--max-ulp", "1"}).exit_code, 1);
}

TEST_F(TensorFiles, CompareSaysWhatIsMissingOrOfAnotherShape) {
  const std::string a = safetensors("a.safetensors", {1, 2}, {3}), b = safetensors("b.safetensors", {1}, {});
  const json document = json_of({"compare", a, b, "--json"}, 1);
  EXPECT_EQ(document["only_in_a"], json({"b"}));
  EXPECT_EQ(document["tensors"][0]["accepted"], false);
  EXPECT_EQ(run_fourge({"compare", a, b, "--tensor", "b"}).exit_code, 2);
}

TEST_F(TensorFiles, CompareAcrossTypesIsOfValues) {
  quant::SafetensorsWriter writer;
  ASSERT_TRUE(
      writer.add_owned("x", DType::bf16, {2}, bytes_of(std::vector<std::uint16_t>{0x3f80, 0xc040})).ok());
  ASSERT_TRUE(writer.write(path("x.safetensors")).ok());
  EXPECT_EQ(run_fourge({"compare", path("x.safetensors"), npy("x.npy", {1, -3})}).exit_code, 0);
  EXPECT_EQ(run_fourge({"compare", path("x.safetensors"), npy("y.npy", {1, 3})}).exit_code, 1);
}

}  // namespace
}  // namespace fourge::tests
