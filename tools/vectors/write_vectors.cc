#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "quant/atomic_file.h"
#include "quant/safetensors.h"
#include "tools/vectors/hex.h"
#include "tools/vectors/vector_set.h"

namespace fourge::vectors {
namespace {

bool has_16_bit_words(const VectorSet& set) { return set.model.rules.output.storage_bits == 16; }

std::map<std::string, std::string> metadata_of(const VectorSet& set) {
  std::map<std::string, std::string> metadata = set.metadata;
  metadata["format"] = kFormatName;
  metadata["model"] = set.model_name;
  metadata["a_format"] = name_of(set.shape.a_format);
  metadata["b_format"] = name_of(set.shape.b_format);
  metadata["m"] = std::to_string(set.shape.m);
  metadata["n"] = std::to_string(set.shape.n);
  metadata["k"] = std::to_string(set.shape.k);
  return metadata;
}

std::vector<std::uint8_t> little_endian(const std::vector<std::uint32_t>& words, int bytes) {
  std::vector<std::uint8_t> out;
  out.reserve(words.size() * static_cast<std::size_t>(bytes));
  for (const std::uint32_t word : words) {
    for (int byte = 0; byte < bytes; ++byte) out.push_back(static_cast<std::uint8_t>(word >> 8 * byte));
  }
  return out;
}

Status write_safetensors(const VectorSet& set, const std::string& path) {
  quant::SafetensorsWriter writer;
  const std::int64_t t = set.tiles, m = set.shape.m, n = set.shape.n, scales = set.scales_per_row();
  const quant::DType word = has_16_bit_words(set) ? quant::DType::u16 : quant::DType::u32;
  const int word_bytes = has_16_bit_words(set) ? 2 : 4;
  Status status = writer.add("a", quant::DType::u8, {t, m, set.a_row_bytes}, set.a);
  if (status.ok()) status = writer.add("b", quant::DType::u8, {t, n, set.b_row_bytes}, set.b);
  if (status.ok()) status = writer.add_owned("c", word, {t, m, n}, little_endian(set.c, word_bytes));
  if (status.ok()) status = writer.add_owned("d", word, {t, m, n}, little_endian(set.d, word_bytes));
  if (status.ok() && scales != 0)
    status = writer.add("a_scales", quant::DType::u8, {t, m, scales}, set.a_scales);
  if (status.ok() && scales != 0)
    status = writer.add("b_scales", quant::DType::u8, {t, n, scales}, set.b_scales);
  if (status.ok() && !set.mode.empty()) status = writer.add("mode", quant::DType::u8, {t}, set.mode);
  for (const auto& [key, value] : metadata_of(set)) {
    if (status.ok()) status = writer.add_metadata(key, value);
  }
  return status.ok() ? writer.write(path) : status;
}

// As one number: the last byte first, so that element 0 lies in the lowest bits.
std::string hex_number(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (std::size_t i = bytes.size(); i-- > 0;) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string word_text(const VectorSet& set, std::uint32_t word) {
  return has_16_bit_words(set) ? fmt::format("{:04x}", word) : fmt::format("{:08x}", word);
}

std::string hex_header(const VectorSet& set) {
  std::string text;
  for (const auto& [key, value] : metadata_of(set)) text += fmt::format("// {}: {}\n", key, value);
  const bool scaled = set.scales_per_row() != 0;
  const int word = has_16_bit_words(set) ? 16 : 32;
  text += fmt::format(
      "// One output a line, for $readmemh: {{a, b, {}c, d}} of {}, {}, {}{}, {} bits.\n",
      scaled ? "a_scales, b_scales, " : "", 8 * set.a_row_bytes, 8 * set.b_row_bytes,
      scaled ? fmt::format("{}, {}, ", 8 * set.scales_per_row(), 8 * set.scales_per_row()) : "", word, word);
  return text + "// Element 0 of a and b, and scale 0, lie in the lowest bits of their fields.\n";
}

Status write_hex(const VectorSet& set, const std::string& path) {
  Result<quant::AtomicFile> file = quant::AtomicFile::create(path);
  if (!file.ok()) return file.failure();
  if (Status status = file->write(hex_header(set)); !status.ok()) return status;
  for (std::int64_t tile = 0; tile < set.tiles; ++tile) {
    std::string text;
    for (int i = 0; i < set.shape.m; ++i) {
      for (int j = 0; j < set.shape.n; ++j) {
        text += hex_number(set.a_row(tile, i)) + '_' + hex_number(set.b_row(tile, j)) + '_';
        if (set.scales_per_row() != 0) {
          text += hex_number(set.a_scale_row(tile, i)) + '_' + hex_number(set.b_scale_row(tile, j)) + '_';
        }
        const std::size_t output = set.output(tile, i, j);
        text += word_text(set, set.c[output]) + '_' + word_text(set, set.d[output]) + '\n';
      }
    }
    if (Status status = file->write(text); !status.ok()) return status;
  }
  return file->commit();
}

nlohmann::ordered_json tile_json(const VectorSet& set, std::int64_t tile) {
  using Json = nlohmann::ordered_json;
  Json json = {{"a", Json::array()}, {"b", Json::array()}};
  const bool scaled = set.scales_per_row() != 0;
  for (int i = 0; i < set.shape.m; ++i) {
    json["a"].push_back(hex(set.a_row(tile, i)));
    if (scaled) json["a_scales"].push_back(hex(set.a_scale_row(tile, i)));
  }
  for (int j = 0; j < set.shape.n; ++j) {
    json["b"].push_back(hex(set.b_row(tile, j)));
    if (scaled) json["b_scales"].push_back(hex(set.b_scale_row(tile, j)));
  }
  for (const char* name : {"c", "d"}) {
    const std::vector<std::uint32_t>& words = *name == 'c' ? set.c : set.d;
    for (int i = 0; i < set.shape.m; ++i) {
      Json row = Json::array();
      for (int j = 0; j < set.shape.n; ++j) row.push_back(word_text(set, words[set.output(tile, i, j)]));
      json[name].push_back(std::move(row));
    }
  }
  if (!set.mode.empty()) json["mode"] = set.mode[static_cast<std::size_t>(tile)];
  return json;
}

// Tile by tile, so that a large set does not stand in memory twice.
Status write_json(const VectorSet& set, const std::string& path) {
  Result<quant::AtomicFile> file = quant::AtomicFile::create(path);
  if (!file.ok()) return file.failure();
  nlohmann::ordered_json head = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata_of(set)) head[key] = value;
  for (const char* key : {"m", "n", "k"}) head[key] = std::stoi(head[key].get<std::string>());
  head["rows"] = "hex of the bytes of a row, first byte first; words of c and d as numbers";
  std::string text = head.dump(1);
  text.erase(text.rfind('\n'));  // the closing brace comes after the tiles
  if (Status status = file->write(text + ",\n \"tiles\": [\n"); !status.ok()) return status;
  for (std::int64_t tile = 0; tile < set.tiles; ++tile) {
    const std::string line = tile_json(set, tile).dump() + (tile + 1 < set.tiles ? ",\n" : "\n");
    if (Status status = file->write(line); !status.ok()) return status;
  }
  if (Status status = file->write(std::string_view(" ]\n}\n")); !status.ok()) return status;
  return file->commit();
}

}  // namespace

Status write_vectors(const VectorSet& set, const std::string& path) {
  const std::string suffix = std::filesystem::path(path).extension();
  if (suffix == ".safetensors") return write_safetensors(set, path);
  if (suffix == ".hex") return write_hex(set, path);
  if (suffix == ".json") return write_json(set, path);
  return {Error::kBadArgument, "expected a name that ends in .safetensors, .hex or .json", path};
}

}  // namespace fourge::vectors
