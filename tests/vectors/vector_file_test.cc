#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "quant/safetensors.h"
#include "tests/support/temporary_folder.h"
#include "tools/vectors/evaluate.h"
#include "tools/vectors/explain.h"
#include "tools/vectors/generate.h"

namespace fourge::vectors {
namespace {

using reference::MmaModel;

VectorSet make(const std::string& model, ElementFormat a, ElementFormat b, int k, std::int64_t tiles = 6,
               Mode mode = Mode::all) {
  VectorSet set;
  set.model_name = model;
  set.model = *reference::find_model(model);
  set.shape = {3, 2, k, a, b};
  EXPECT_TRUE(reference::check(set.model, set.shape).ok());
  set.a_row_bytes = reference::row_bytes(a, k);
  set.b_row_bytes = reference::row_bytes(b, k);
  generate_operands(set, tiles, mode, 5);
  set.d = evaluate(set, {});
  set.metadata["source"] = "test";
  return set;
}

const std::string kNvfp4 = "blackwell.mxf4nvf4.ue4m3.block16";

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(VectorFile, ComesBackAsItWasWritten) {
  const tests::TemporaryFolder folder;
  for (const VectorSet& set :
       {make(kNvfp4, ElementFormat::e2m1, ElementFormat::e2m1, 64),
        make("hopper.f16.f16", ElementFormat::f16, ElementFormat::f16, 16),
        make("blackwell.mxf8f6f4.ue8m0.block32", ElementFormat::e3m2, ElementFormat::e2m1, 32),
        make("custom:fraction_bits=20,products=5,output=bf16,rounding=rne", ElementFormat::tf32,
             ElementFormat::e4m3, 10)}) {
    const std::string path = (folder / "set.safetensors").string();
    ASSERT_TRUE(write_vectors(set, path).ok());
    const Result<VectorSet> read = read_vectors(path);
    ASSERT_TRUE(read.ok()) << read.failure().message();
    EXPECT_EQ(read->model_name, set.model_name);
    EXPECT_EQ(read->a, set.a);
    EXPECT_EQ(read->b, set.b);
    EXPECT_EQ(read->a_scales, set.a_scales);
    EXPECT_EQ(read->b_scales, set.b_scales);
    EXPECT_EQ(read->c, set.c);
    EXPECT_EQ(read->d, set.d);
    EXPECT_EQ(read->mode, set.mode);
    EXPECT_EQ(read->metadata.at("source"), "test");
    EXPECT_EQ(compare(*read, evaluate(*read, {}, 3)).mismatches, 0);  // the number of threads changes nothing
  }
}

// A file that is right but for one thing.
struct Damage {
  const char* what;
  std::function<void(std::map<std::string, std::string>& metadata,
                     std::map<std::string, quant::Tensor>& tensors)>
      change;
  const char* message;
};

TEST(VectorFile, MetadataAndShapesThatDisagreeAreRefused) {
  const tests::TemporaryFolder folder;
  const std::string good = (folder / "good.safetensors").string(),
                    bad = (folder / "bad.safetensors").string();
  ASSERT_TRUE(write_vectors(make(kNvfp4, ElementFormat::e2m1, ElementFormat::e2m1, 64), good).ok());
  const quant::Safetensors file = std::move(*quant::Safetensors::open(good));
  const Damage kDamages[] = {
      {"format", [](auto& m, auto&) { m["format"] = "2"; },
       "metadata format is '2': expected tensor-core-vectors-1"},
      {"no model", [](auto& m, auto&) { m.erase("model"); }, "metadata model is missing"},
      {"model", [](auto& m, auto&) { m["model"] = "hopper.fp4"; }, "metadata model is 'hopper.fp4'"},
      {"custom", [](auto& m, auto&) { m["model"] = "custom:fraction_bits=99"; },
       "metadata model is 'custom:"},
      {"element", [](auto& m, auto&) { m["a_format"] = "e9m9"; }, "metadata a_format is 'e9m9'"},
      {"pair", [](auto& m, auto&) { m["b_format"] = "e4m3"; }, "e4m3, not one of e2m1"},
      {"m", [](auto& m, auto&) { m["m"] = "4"; }, "tensor a is U8 [6, 3, 32], not U8 [6, 4, 32]"},
      {"m text", [](auto& m, auto&) { m["m"] = "3x"; },
       "metadata m is '3x': expected a whole number from 1 to 4096"},
      {"m zero", [](auto& m, auto&) { m["m"] = "0"; }, "metadata m is '0'"},
      {"n large", [](auto& m, auto&) { m["n"] = "99999999999999999999"; }, "metadata n is"},
      {"k", [](auto& m, auto&) { m["k"] = "32"; }, "k = 32, not 64"},
      {"no scales", [](auto&, auto& t) { t.erase("a_scales"); }, "no tensor a_scales: the model needs it"},
      {"no a", [](auto&, auto& t) { t.erase("a"); }, "no tensor a [tiles, m, row bytes]"},
      {"no d", [](auto&, auto& t) { t.erase("d"); }, "no tensor d"},
      {"words",
       [](auto& m, auto&) {
         m["model"] = "hopper.f16.f16", m["a_format"] = m["b_format"] = "f16", m["k"] = "16";
       },
       "tensor c is U32 [6, 3, 2], not U16 [6, 3, 2]"},
      {"unasked scales",
       [](auto& m, auto&) {
         m["model"] = "hopper.f16.f32", m["a_format"] = m["b_format"] = "f16", m["k"] = "16";
       },
       "the model has no block scales"},
      {"scale shape",
       [](auto&, auto& t) {
         t["b_scales"].shape = {6, 1, 8};
       },
       "tensor b_scales is U8 [6, 1, 8]"},
      {"mode shape",
       [](auto&, auto& t) {
         t["mode"].shape = {3, 2};
       },
       "tensor mode is U8 [3, 2], not U8 [6]"},
      {"rank",
       [](auto&, auto& t) {
         t["a"].shape = {6 * 3, 32};
       },
       "tensor a is U8 [18, 32]"},
  };
  for (const Damage& damage : kDamages) {
    auto metadata = file.metadata();
    std::map<std::string, quant::Tensor> tensors;
    for (const quant::Tensor& tensor : file.tensors()) tensors[tensor.name] = tensor;
    damage.change(metadata, tensors);
    quant::SafetensorsWriter writer;
    for (const auto& [key, value] : metadata) ASSERT_TRUE(writer.add_metadata(key, value).ok());
    for (const auto& [name, tensor] : tensors) {
      ASSERT_TRUE(writer.add(name, tensor.dtype, tensor.shape, tensor.bytes).ok()) << damage.what;
    }
    ASSERT_TRUE(writer.write(bad).ok());
    const Result<VectorSet> read = read_vectors(bad);
    ASSERT_FALSE(read.ok()) << damage.what;
    EXPECT_EQ(read.error(), Error::kBadFile) << damage.what;
    EXPECT_NE(read.failure().message().find(damage.message), std::string::npos) << read.failure().message();
    EXPECT_NE(read.failure().message().find(bad), std::string::npos) << read.failure().message();
  }
  EXPECT_EQ(read_vectors((folder / "absent").string()).error(), Error::kNotFound);
}

// $readmemh: one word a line, '_' between fields, comments with //. Element 0 in the lowest bits.
TEST(VectorFile, HexHoldsEveryOutput) {
  const tests::TemporaryFolder folder;
  const VectorSet set = make(kNvfp4, ElementFormat::e2m1, ElementFormat::e2m1, 64, 2);
  const std::string path = (folder / "set.hex").string();
  ASSERT_TRUE(write_vectors(set, path).ok());
  std::istringstream text(read_text(path));
  std::string shape;  // digits as 0
  for (const std::size_t digits : {64u, 64u, 8u, 8u, 8u, 8u}) {
    shape += (shape.empty() ? "" : "_") + std::string(digits, '0');
  }
  std::size_t output = 0;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("//")) continue;
    std::string digits = line;
    for (char& c : digits)
      c = std::string_view("0123456789abcdef").find(c) != std::string_view::npos ? '0' : c;
    ASSERT_EQ(digits, shape) << line;
    const auto tile = static_cast<std::int64_t>(output) / 6;
    const int i = static_cast<int>(output % 6 / 2);
    EXPECT_EQ(std::stoul(line.substr(62, 2), nullptr, 16), set.a_row(tile, i)[0]);
    EXPECT_EQ(std::stoul(line.substr(0, 2), nullptr, 16), set.a_row(tile, i)[31]);
    EXPECT_EQ(std::stoul(line.substr(130, 8), nullptr, 16) & 0xff, set.a_scale_row(tile, i)[0]);
    EXPECT_EQ(std::stoul(line.substr(line.size() - 8), nullptr, 16), set.d[output]);
    ++output;
  }
  EXPECT_EQ(output, set.d.size());
}

TEST(VectorFile, JsonHoldsEveryTile) {
  const tests::TemporaryFolder folder;
  const VectorSet set = make("hopper.f16.f16", ElementFormat::f16, ElementFormat::f16, 16, 7);
  const std::string path = (folder / "set.json").string();
  ASSERT_TRUE(write_vectors(set, path).ok());
  const nlohmann::json json = nlohmann::json::parse(read_text(path));
  EXPECT_EQ(json["format"], "tensor-core-vectors-1");
  EXPECT_EQ(json["m"], 3);
  ASSERT_EQ(json["tiles"].size(), 7u);
  for (std::int64_t tile = 0; tile < 7; ++tile) {
    const auto& entry = json["tiles"][static_cast<std::size_t>(tile)];
    EXPECT_EQ(entry["a"].size(), 3u);
    EXPECT_EQ(entry["d"][2][1].get<std::string>(), word_text(set.model, set.d[set.output(tile, 2, 1)]));
    EXPECT_FALSE(entry.contains("a_scales"));
  }
}

TEST(VectorFile, UnknownSuffixAndUnwritablePlaceAreRefused) {
  const tests::TemporaryFolder folder;
  const VectorSet set = make("hopper.f16.f16", ElementFormat::f16, ElementFormat::f16, 16, 1);
  EXPECT_EQ(write_vectors(set, (folder / "set.bin").string()).error(), Error::kBadArgument);
  EXPECT_FALSE(std::filesystem::exists(folder / "set.bin"));
  for (const char* name : {"no/set.safetensors", "no/set.hex", "no/set.json"}) {
    EXPECT_EQ(write_vectors(set, (folder / name).string()).error(), Error::kNotFound) << name;
  }
}

// The bytes of a seed are part of the interface: others keep files by seed.
TEST(Generate, SameSeedSameBytesEverywhere) {
  std::uint64_t hash = 14695981039346656037u;
  for (const Mode mode : kModes) {
    const VectorSet set =
        make("blackwell.mxf8f6f4.ue8m0.block32", ElementFormat::e5m2, ElementFormat::e2m3, 32, 6, mode);
    for (const auto* bytes : {&set.a, &set.b, &set.a_scales, &set.b_scales}) {
      for (const std::uint8_t byte : *bytes) hash = (hash ^ byte) * 1099511628211u;
    }
    for (const std::uint32_t word : set.c) hash = (hash ^ word) * 1099511628211u;
  }
  EXPECT_EQ(hash, 0x7c9a'927f'4726'b445u) << std::hex << hash;
}

// Every mode tells a wrong rule from the right one.
TEST(Generate, EachModeSeesASabotagedRule) {
  for (const Mode mode : {Mode::random, Mode::edge, Mode::zeros, Mode::cancel, Mode::bands}) {
    VectorSet set = make("hopper.f16.f32", ElementFormat::f16, ElementFormat::f16, 16, 400, mode);
    set.model.rules.fraction_bits = 24;
    EXPECT_GT(compare(set, evaluate(set, {})).mismatches, 0) << name_of(mode);
  }
  // Down there F does not matter, the floor of Emax does.
  VectorSet set = make("hopper.bf16.f32", ElementFormat::bf16, ElementFormat::bf16, 16, 400, Mode::zeros);
  EXPECT_GT(compare(set, evaluate(set, {.zeros = reference::ZeroRule::mma_sim})).mismatches, 0);
  VectorSet fp4 = make(kNvfp4, ElementFormat::e2m1, ElementFormat::e2m1, 64, 400, Mode::zeros);
  reference::MmaPolicy policy;
  policy.zero_groups_count = false;
  EXPECT_GT(compare(fp4, evaluate(fp4, policy)).mismatches, 0);
}

// The explanation's own numbers add up to the result.
TEST(Explain, TermsAddUpToTheSum) {
  for (const MmaModel& model : reference::kMmaModels) {
    const ElementFormat format = model.formats.contains(ElementFormat::e4m3)   ? ElementFormat::e4m3
                                 : model.formats.contains(ElementFormat::e2m1) ? ElementFormat::e2m1
                                 : model.formats.contains(ElementFormat::f16)  ? ElementFormat::f16
                                 : model.formats.contains(ElementFormat::bf16) ? ElementFormat::bf16
                                                                               : ElementFormat::tf32;
    const VectorSet set = make(std::string(model.name), format, format, model.depths[0], 12);
    for (std::int64_t tile = 0; tile < set.tiles; ++tile) {
      OutputOperands x{set.model_name,
                       set.model,
                       format,
                       format,
                       set.shape.k,
                       set.a_row(tile, 1),
                       set.b_row(tile, 1),
                       set.a_scale_row(tile, 1),
                       set.b_scale_row(tile, 1),
                       set.c[set.output(tile, 1, 1)],
                       set.d[set.output(tile, 1, 1)] ^ 1};
      const nlohmann::ordered_json json = explain_json(x, {});
      EXPECT_EQ(json["result"], word_text(model, set.d[set.output(tile, 1, 1)]));
      std::string last;
      for (const auto& sum : json["sums"]) {
        last = sum["result"];
        if (!sum.contains("terms")) continue;
        std::int64_t total = 0;
        for (const auto& term : sum["terms"]) total += term["truncated"].get<std::int64_t>();
        EXPECT_EQ(total, sum["sum"].get<std::int64_t>()) << model.name;
      }
      if (!json["adds_c_last"].get<bool>()) {
        EXPECT_EQ(json["result"], last);
      }
      const std::string text = explain_text(x, {});
      EXPECT_NE(text.find("MISMATCH"), std::string::npos);
      EXPECT_NE(text.find("result " + word_text(model, *x.given ^ 1)), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace fourge::vectors
