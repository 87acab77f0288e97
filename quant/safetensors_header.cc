#include "quant/safetensors_header.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "quant/safetensors.h"
#include "quant/text.h"

namespace fourge::quant {

namespace {

using Json = nlohmann::json;

// A SAX reader: no document tree is built, nesting deeper than the format's is refused at once, and keys that
// come twice are seen (a tree would keep the last silently).
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(const std::string& file, std::uint64_t offset) : file_(file), offset_(offset) {}

  Header take_header() { return std::move(header_); }
  Failure take_failure() { return std::move(failure_); }

  bool start_object(std::size_t) override {
    switch (expect_) {
      case Expect::document:
        expect_ = Expect::entry_name;
        return true;
      case Expect::entry:
        expect_ = in_metadata() ? Expect::metadata_key : Expect::field_name;
        return true;
      default:
        return unexpected("an object");
    }
  }

  bool key(std::string& name) override {
    switch (expect_) {
      case Expect::entry_name:
        if (!names_.insert(name).second)
          return fail("each name may stand once in the header", in_quotes(name));
        entry_ = HeaderEntry{};
        entry_.name = std::move(name);
        seen_dtype_ = seen_shape_ = seen_offsets_ = false;
        expect_ = Expect::entry;
        return true;
      case Expect::metadata_key:
        if (header_.metadata.count(name) != 0) {
          return fail("each key may stand once in the metadata", in_quotes(name));
        }
        metadata_key_ = std::move(name);
        expect_ = Expect::metadata_value;
        return true;
      case Expect::field_name:
        return field(name);
      default:
        return unexpected("a key");
    }
  }

  bool string(std::string& text) override {
    if (expect_ == Expect::metadata_value) {
      header_.metadata.emplace(std::move(metadata_key_), std::move(text));
      expect_ = Expect::metadata_key;
      return true;
    }
    if (expect_ != Expect::dtype) return unexpected("a string");
    const std::optional<DType> dtype = dtype_of_name(text);
    if (!dtype) return fail("unknown dtype", where_entry() + ": dtype " + in_quotes(text));
    entry_.dtype = *dtype;
    expect_ = Expect::field_name;
    return true;
  }

  bool start_array(std::size_t) override {
    if (expect_ == Expect::shape) {
      expect_ = Expect::extent;
    } else if (expect_ == Expect::offsets) {
      expect_ = Expect::begin;
    } else {
      return unexpected("an array");
    }
    return true;
  }

  bool number_unsigned(std::uint64_t value) override {
    constexpr std::uint64_t kLargest = std::uint64_t{1} << 62;
    if (value > kLargest) return fail("expected at most 2^62", where_entry() + ": " + std::to_string(value));
    switch (expect_) {
      case Expect::extent:
        if (entry_.shape.size() == Safetensors::kHighestRank) {
          return fail("expected at most 32 dimensions", where_entry());
        }
        entry_.shape.push_back(static_cast<std::int64_t>(value));
        return true;
      case Expect::begin:
        entry_.begin = value;
        expect_ = Expect::end;
        return true;
      case Expect::end:
        entry_.end = value;
        expect_ = Expect::end_of_offsets;
        return true;
      default:
        return unexpected("a number");
    }
  }

  bool end_array() override {
    if (expect_ != Expect::extent && expect_ != Expect::end_of_offsets) {
      return fail("expected data_offsets of two numbers", where_entry());
    }
    expect_ = Expect::field_name;
    return true;
  }

  bool end_object() override {
    switch (expect_) {
      case Expect::entry_name:
        expect_ = Expect::nothing;
        return true;
      case Expect::metadata_key:
        expect_ = Expect::entry_name;
        return true;
      default:  // Expect::field_name: the parser only ends an object after a complete value
        if (!seen_dtype_ || !seen_shape_ || !seen_offsets_) {
          return fail("expected dtype, shape and data_offsets", where_entry());
        }
        header_.entries.push_back(std::move(entry_));
        expect_ = Expect::entry_name;
        return true;
    }
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(std::int64_t) override { return unexpected("a negative number"); }
  bool number_float(double, const std::string&) override { return unexpected("a number that is no integer"); }
  bool binary(Json::binary_t&) override { return unexpected("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    failure_ = {Error::kBadFile, "the header is not valid JSON in UTF-8",
                file_ + ": offset " + std::to_string(offset_ + (position > 0 ? position - 1 : 0))};
    return false;
  }

 private:
  enum class Expect : std::uint8_t {
    document,
    entry_name,    // or the end of the document
    entry,         // the object of a tensor or of __metadata__
    metadata_key,  // or the end of the metadata
    metadata_value,
    field_name,  // or the end of the tensor
    dtype,
    shape,
    extent,  // or the end of the shape
    offsets,
    begin,
    end,
    end_of_offsets,
    nothing,
  };

  bool in_metadata() const { return entry_.name == "__metadata__"; }
  std::string where_entry() const { return "tensor " + in_quotes(entry_.name); }

  bool field(const std::string& name) {
    bool* seen = nullptr;
    if (name == "dtype") {
      seen = &seen_dtype_;
      expect_ = Expect::dtype;
    } else if (name == "shape") {
      seen = &seen_shape_;
      expect_ = Expect::shape;
    } else if (name == "data_offsets") {
      seen = &seen_offsets_;
      expect_ = Expect::offsets;
    } else {
      return fail("expected only dtype, shape and data_offsets", where_entry() + ": key " + in_quotes(name));
    }
    if (*seen) return fail("each field may stand once", where_entry() + ": key " + in_quotes(name));
    *seen = true;
    return true;
  }

  const char* expected() const {
    switch (expect_) {
      case Expect::document:
        return "expected an object that maps names to tensors";
      case Expect::entry:
        return in_metadata() ? "expected an object of strings"
                             : "expected an object of dtype, shape and data_offsets";
      case Expect::metadata_value:
        return "expected a string: metadata map strings to strings";
      case Expect::dtype:
        return "expected dtype to be a string";
      case Expect::shape:
      case Expect::extent:
        return "expected shape to be an array of non-negative integers";
      case Expect::offsets:
      case Expect::begin:
      case Expect::end:
      case Expect::end_of_offsets:
        return "expected data_offsets to be two non-negative integers";
      default:
        return "the header's structure is wrong";
    }
  }

  bool unexpected(const char* found) {
    const std::string place = expect_ == Expect::document ? "header" : where_entry();
    return fail(expected(), place + ": found " + found);
  }

  bool fail(const char* reason, const std::string& detail) {
    failure_ = {Error::kBadFile, reason, file_ + ": " + detail};
    return false;
  }

  const std::string& file_;
  std::uint64_t offset_;
  Header header_;
  Failure failure_{Error::kBadFile, "the header's structure is wrong", {}};
  std::set<std::string> names_;
  HeaderEntry entry_;
  bool seen_dtype_ = false, seen_shape_ = false, seen_offsets_ = false;
  std::string metadata_key_;
  Expect expect_ = Expect::document;
};

}  // namespace

Result<Header> parse_header(std::string_view json, const std::string& file, std::uint64_t offset) {
  // The lexer takes a NUL for the end of input and skips a byte order mark; neither belongs here.
  if (const std::size_t nul = json.find('\0'); nul != std::string_view::npos) {
    return {Error::kBadFile, "the header is not valid JSON in UTF-8",
            file + ": NUL at offset " + std::to_string(offset + nul)};
  }
  if (json.empty() || json.front() != '{') {
    return {Error::kBadFile, "expected the header to begin with '{'",
            file + ": offset " + std::to_string(offset)};
  }
  HeaderReader reader(file, offset);
  if (!Json::sax_parse(json.begin(), json.end(), &reader)) return reader.take_failure();
  return reader.take_header();
}

}  // namespace fourge::quant
