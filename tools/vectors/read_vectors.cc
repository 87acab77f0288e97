#include <charconv>
#include <cstring>

#include "quant/safetensors.h"
#include "quant/text.h"
#include "tools/vectors/vector_set.h"

namespace fourge::vectors {
namespace {

using reference::MmaModel;

// One file being read: everything that can be wrong with it is said with its name.
class Reader {
 public:
  Reader(const quant::Safetensors& file, std::string path) : file_(file), path_(std::move(path)) {}

  Result<VectorSet> read();

 private:
  Failure bad(const std::string& what, const char* expected) const {
    return {Error::kBadFile, expected, path_ + ": " + what};
  }
  Failure bad_metadata(const std::string& key, const char* expected) const {
    const auto entry = file_.metadata().find(key);
    return bad(
        "metadata " + key +
            (entry == file_.metadata().end() ? " is missing" : " is " + quant::in_quotes(entry->second)),
        expected);
  }
  std::string metadata(const std::string& key) const {
    const auto entry = file_.metadata().find(key);
    return entry == file_.metadata().end() ? std::string() : entry->second;
  }

  Status read_model(VectorSet& set) const;
  Status read_size(const char* key, int most, int& value) const;
  Status read_format(const char* key, ElementFormat& format) const;
  Status read_tiles(VectorSet& set) const;
  Status read_elements(const VectorSet& set, const char* name, ElementFormat format, int rows,
                       std::vector<std::uint8_t>& bytes, int& row_bytes) const;
  Status read_bytes(const char* name, std::vector<std::int64_t> shape,
                    std::vector<std::uint8_t>& bytes) const;
  Status read_words(const VectorSet& set, const char* name, std::vector<std::uint32_t>& words) const;
  Result<quant::Tensor> find(const char* name, quant::DType dtype,
                             const std::vector<std::int64_t>& shape) const;

  const quant::Safetensors& file_;
  std::string path_;
};

Status Reader::read_size(const char* key, int most, int& value) const {
  const std::string text = metadata(key);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    return bad_metadata(key, most == kMostRows ? "expected a whole number from 1 to 4096"
                                               : "expected a whole number from 1 to 65536");
  }
  return {};
}

Status Reader::read_format(const char* key, ElementFormat& format) const {
  const std::string name = metadata(key);
  for (const ElementFormat candidate : kElementFormats) {
    if (name == name_of(candidate)) {
      format = candidate;
      return {};
    }
  }
  return bad_metadata(key, "expected the name of an element format, such as e2m1, e4m3 or f16");
}

Status Reader::read_model(VectorSet& set) const {
  if (metadata("format") != kFormatName) {
    return bad_metadata("format", "expected tensor-core-vectors-1");
  }
  set.model_name = metadata("model");
  Result<MmaModel> model = reference::find_model(set.model_name);
  if (!model.ok()) return bad_metadata("model", model.failure().reason);
  set.model = *model;
  if (Status status = read_format("a_format", set.shape.a_format); !status.ok()) return status;
  if (Status status = read_format("b_format", set.shape.b_format); !status.ok()) return status;
  if (Status status = read_size("m", kMostRows, set.shape.m); !status.ok()) return status;
  if (Status status = read_size("n", kMostRows, set.shape.n); !status.ok()) return status;
  if (Status status = read_size("k", kMostDepth, set.shape.k); !status.ok()) return status;
  if (Status status = reference::check(set.model, set.shape); !status.ok()) {
    return bad("metadata: " + status.failure().where, status.failure().reason);
  }
  set.metadata = file_.metadata();
  return {};
}

Result<quant::Tensor> Reader::find(const char* name, quant::DType dtype,
                                   const std::vector<std::int64_t>& shape) const {
  Result<quant::Tensor> tensor = file_.find(name);
  if (!tensor.ok()) return bad(std::string("no tensor ") + name, "the model needs it");
  if (tensor->dtype != dtype || tensor->shape != shape) {
    return bad(std::string("tensor ") + name + " is " + std::string(name_of(tensor->dtype)) + " " +
                   quant::shape_text(tensor->shape) + ", not " + std::string(name_of(dtype)) + " " +
                   quant::shape_text(shape),
               "expected what model, m, n, k and the other tensors ask for");
  }
  return tensor;
}

Status Reader::read_bytes(const char* name, std::vector<std::int64_t> shape,
                          std::vector<std::uint8_t>& bytes) const {
  const Result<quant::Tensor> tensor = find(name, quant::DType::u8, shape);
  if (!tensor.ok()) return tensor.failure();
  bytes.assign(tensor->bytes.begin(), tensor->bytes.end());
  return {};
}

// The row length decides how e2m1 is stored.
Status Reader::read_elements(const VectorSet& set, const char* name, ElementFormat format, int rows,
                             std::vector<std::uint8_t>& bytes, int& row_bytes) const {
  row_bytes = reference::row_bytes(format, set.shape.k);
  const Result<quant::Tensor> tensor = file_.find(name);
  if (tensor.ok() && tensor->shape.size() == 3 &&
      reference::takes_row_bytes(
          set.model, format, set.shape.k,
          static_cast<int>(std::min<std::int64_t>(tensor->shape[2], kMostDepth * 4)))) {
    row_bytes = static_cast<int>(tensor->shape[2]);
  }
  return read_bytes(name, {set.tiles, rows, row_bytes}, bytes);
}

Status Reader::read_words(const VectorSet& set, const char* name, std::vector<std::uint32_t>& words) const {
  const bool narrow = set.model.rules.output.storage_bits == 16;
  const Result<quant::Tensor> tensor =
      find(name, narrow ? quant::DType::u16 : quant::DType::u32, {set.tiles, set.shape.m, set.shape.n});
  if (!tensor.ok()) return tensor.failure();
  const std::size_t size = narrow ? 2 : 4;
  words.resize(tensor->bytes.size() / size);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::uint32_t word = 0;
    for (std::size_t byte = size; byte-- > 0;) word = word << 8 | tensor->bytes[i * size + byte];
    words[i] = word;
  }
  return {};
}

Status Reader::read_tiles(VectorSet& set) const {
  const Result<quant::Tensor> a = file_.find("a");
  if (!a.ok() || a->shape.empty()) return bad("no tensor a [tiles, m, row bytes]", "the model needs it");
  set.tiles = a->shape[0];
  const reference::MmaShape& s = set.shape;
  if (Status status = read_elements(set, "a", s.a_format, s.m, set.a, set.a_row_bytes); !status.ok())
    return status;
  if (Status status = read_elements(set, "b", s.b_format, s.n, set.b, set.b_row_bytes); !status.ok())
    return status;
  if (Status status = read_words(set, "c", set.c); !status.ok()) return status;
  if (Status status = read_words(set, "d", set.d); !status.ok()) return status;
  if (set.model.scale_block != 0) {
    const std::int64_t scales = set.scales_per_row();
    if (Status status = read_bytes("a_scales", {set.tiles, s.m, scales}, set.a_scales); !status.ok())
      return status;
    if (Status status = read_bytes("b_scales", {set.tiles, s.n, scales}, set.b_scales); !status.ok())
      return status;
  } else if (file_.contains("a_scales") || file_.contains("b_scales")) {
    return bad("tensor a_scales or b_scales", "expected none: the model has no block scales");
  }
  if (file_.contains("mode")) return read_bytes("mode", {set.tiles}, set.mode);
  return {};
}

Result<VectorSet> Reader::read() {
  VectorSet set;
  if (Status status = read_model(set); !status.ok()) return status.failure();
  if (Status status = read_tiles(set); !status.ok()) return status.failure();
  return set;
}

}  // namespace

Result<VectorSet> read_vectors(const std::string& path) {
  const Result<quant::Safetensors> file = quant::Safetensors::open(path);
  if (!file.ok()) return file.failure();
  return Reader(*file, path).read();
}

Result<VectorSet> parse_vectors(std::span<const std::uint8_t> bytes, const std::string& name) {
  const Result<quant::Safetensors> file = quant::Safetensors::parse(bytes, name);
  if (!file.ok()) return file.failure();
  return Reader(*file, name).read();
}

}  // namespace fourge::vectors
