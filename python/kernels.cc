// fourge.Quantizer, fourge.Decoder and fourge.Hadamard.
#include "fourge/decode.h"
#include "fourge/hadamard.h"
#include "fourge/quantizer.h"
#include "python/bindings.h"

namespace fourge::python {
namespace {

using Text = std::optional<std::string>;

// A sign vector as the kernels take it: bits, one for each element of a block; +-1 or booleans (true negates)
// are packed.
class Signs {
 public:
  Signs(const py::object& signs, std::int64_t order) {
    if (signs.is_none()) return;
    view_ = view_of(signs, "signs");
    const std::int64_t packed = (order + 7) / 8;
    if (view_.item_bytes == 1 && view_.plain_bytes && view_.size() == packed && packed != order) {
      data_ = bytes_of(view_, packed, "signs");
      return;
    }
    if (view_.size() != order) {
      throw Failed(Error::kBadShape, "expected one sign for each element of a block, or those bits in bytes",
                   "signs: " + std::to_string(view_.size()) + " of " + view_.dtype() + ", order " +
                       std::to_string(order));
    }
    pack(order, packed);
  }
  const std::uint8_t* data() const { return data_; }

 private:
  void pack(std::int64_t order, std::int64_t packed) {
    bits_.assign(static_cast<std::size_t>(packed), 0);
    data_ = bits_.data();
    const bool floats = view_.format == ElementFormat::f32;
    const void* bits = bits_of(view_, order * view_.item_bytes, "signs");
    if (!floats && view_.item_bytes != 1)
      throw Failed(Error::kUnsupportedFormat, "expected float32, int8, bool or packed uint8", "signs");
    for (std::int64_t i = 0; i < order; ++i) {
      const bool negate = floats           ? static_cast<const float*>(bits)[i] < 0
                          : view_.booleans ? static_cast<const std::uint8_t*>(bits)[i] != 0
                                           : static_cast<const std::int8_t*>(bits)[i] < 0;
      if (negate)
        bits_[static_cast<std::size_t>(i / 8)] =
            static_cast<std::uint8_t>(bits_[static_cast<std::size_t>(i / 8)] | 1u << i % 8);
    }
  }

  ArrayView view_;
  std::vector<std::uint8_t> bits_;
  const std::uint8_t* data_ = nullptr;
};

void require_format(const PlainMatrix& x, ElementFormat format) {
  if (x.format == format) return;
  throw Failed(Error::kUnsupportedFormat, "the kernel was made for another type of input",
               std::string("x: ") + name_of(x.format) + ", expected " + name_of(format));
}

Quantizer create_quantizer(const std::string& format, const std::string& rule, const py::object& input,
                           bool block_2d, const std::string& layout, int scale_max,
                           const std::string& rounding, bool transpose, std::int64_t rotate, bool signs,
                           const Text& kernel, const Text& max_isa) {
  const Choice choice(kernel, max_isa);
  const QuantizerSpec spec{.quantize = {.format = parse_format(format),
                                        .rule = parse_rule(rule),
                                        .block_2d = block_2d,
                                        .layout = parse_layout(layout),
                                        .scale_max = scale_max,
                                        .rounding = parse_element_rounding(rounding)},
                           .input = parse_element_format(input),
                           .transpose = transpose,
                           .rotate = rotate,
                           .signs = signs};
  const py::gil_scoped_release release;
  return value_of(Quantizer::create(spec, choice.options()));
}

Matrix run_quantizer(const Quantizer& quantizer, const py::object& input, const py::object& signs,
                     std::optional<float> rotation_scale, std::optional<float> amax, std::uint64_t seed,
                     int threads) {
  const QuantizerSpec& spec = quantizer.spec();
  const PlainMatrix x = plain_matrix(input, "x");
  require_format(x, spec.input);
  const Signs sign_bits(signs, spec.rotate);
  const std::int64_t rows = spec.transpose ? x.cols : x.rows, cols = spec.transpose ? x.rows : x.cols;
  const int block = info(spec.quantize.format).block;
  if (cols % block != 0) {
    throw Failed(Error::kBadShape, "expected quantised rows in multiples of the scale block",
                 std::to_string(rows) + " x " + std::to_string(cols) + ", block " + std::to_string(block));
  }
  Matrix matrix(spec.quantize.format, rows, cols, spec.quantize.layout);
  const QuantizeOperands operands{.x = x.data,
                                  .rows = x.rows,
                                  .cols = x.cols,
                                  .x_stride = x.stride,
                                  .signs = sign_bits.data(),
                                  .rotation_scale = rotation_scale,
                                  .amax = amax,
                                  .seed = seed,
                                  .codes = matrix.codes_data(),
                                  .scales = matrix.scales_data()};
  Result<QuantizeOutcome> outcome = [&] {
    const py::gil_scoped_release release;
    return quantizer.run(operands, {threads});
  }();
  const QuantizeOutcome found = value_of(std::move(outcome));
  matrix.set_tensor_scale(found.tensor_scale);
  matrix.set_amax(found.amax);
  return matrix;
}

void define_quantizer(py::module_& module) {
  py::class_<Quantizer> type(
      module, "Quantizer",
      "A kernel that quantises: x -> transposed -> rotated (Hadamard) -> block scales and codes.\n\n"
      "format: 'nvfp4', 'mxfp4', 'mxfp4_b16'. rule: docs/quantization.md. input: float32, bfloat16, "
      "float16.\n"
      "block_2d: one scale per block x block square. layout: of the scales. scale_max: nvfp4: 256, 448, 0:\n"
      "the rule's own. rounding: 'nearest' or 'stochastic'. transpose: quantises x^T. rotate: the order of "
      "a\n"
      "rotation of blocks along the quantised rows, 0: none. signs: the rotation takes a sign vector.");
  type.def(py::init(&create_quantizer), py::arg("format") = "nvfp4", py::arg("rule") = "static_6",
           py::kw_only(), py::arg("input") = "float32", py::arg("block_2d") = false,
           py::arg("layout") = "linear", py::arg("scale_max") = 0, py::arg("rounding") = "nearest",
           py::arg("transpose") = false, py::arg("rotate") = 0, py::arg("signs") = false,
           py::arg("kernel") = py::none(), py::arg("max_isa") = py::none());
  type.def("run", &run_quantizer, py::arg("x"), py::kw_only(), py::arg("signs") = py::none(),
           py::arg("rotation_scale") = py::none(), py::arg("amax") = py::none(), py::arg("seed") = 0,
           py::arg("threads") = 0,
           "x: [rows, cols] of the kernel's input type -> QuantizedMatrix of that shape (transposed: cols x\n"
           "rows).\n\n"
           "signs: [order] of +-1 or booleans (true negates), or those bits in uint8. rotation_scale:\n"
           "1 / sqrt(order) unless given. amax: nvfp4, of the whole rotated tensor, found unless given.\n"
           "seed: stochastic rounding.");
  define_code(type);
}

Decoder create_decoder(const std::string& format, const py::object& output, const Text& kernel,
                       const Text& max_isa) {
  const Choice choice(kernel, max_isa);
  const DecodeSpec spec{.format = parse_format(format), .output = parse_element_format(output)};
  const py::gil_scoped_release release;
  return value_of(Decoder::create(spec, choice.options()));
}

py::array run_decoder(const Decoder& decoder, const Matrix& matrix, const py::object& out, int threads) {
  std::int64_t stride = 0;
  py::array y = output_array(out, decoder.spec().output, {matrix.view().rows, matrix.view().cols}, &stride);
  void* data = y.mutable_data();
  Status status;
  {
    const py::gil_scoped_release release;
    status = decoder.run(matrix.view(), data, stride, {threads});
  }
  ensure(status);
  return y;
}

void define_decoder(py::module_& module) {
  py::class_<Decoder> type(
      module, "Decoder",
      "A kernel that decodes: y = (element * block scale) * tensor scale in f32, rounded to\n"
      "`output`: float32, bfloat16 or float16.");
  type.def(py::init(&create_decoder), py::arg("format") = "nvfp4", py::arg("output") = "float32",
           py::kw_only(), py::arg("kernel") = py::none(), py::arg("max_isa") = py::none());
  type.def("run", &run_decoder, py::arg("matrix"), py::kw_only(), py::arg("out") = py::none(),
           py::arg("threads") = 0,
           "QuantizedMatrix -> [rows, cols] of the output type; into `out` if given.");
  define_code(type);
}

Hadamard create_hadamard(std::int64_t order, const py::object& input, const py::object& output, bool signs,
                         bool scaled, const Text& kernel, const Text& max_isa) {
  const Choice choice(kernel, max_isa);
  const ElementFormat format = parse_element_format(input);
  const HadamardSpec spec{.order = order,
                          .input = format,
                          .output = output.is_none() ? format : parse_element_format(output),
                          .signs = signs,
                          .scaled = scaled};
  const py::gil_scoped_release release;
  return value_of(Hadamard::create(spec, choice.options()));
}

py::array run_hadamard(const Hadamard& hadamard, const py::object& input, const py::object& out,
                       const py::object& signs, std::optional<float> scale, int threads) {
  const HadamardSpec& spec = hadamard.spec();
  const PlainMatrix x = plain_matrix(input, "x");
  require_format(x, spec.input);
  const Signs sign_bits(signs, spec.order);
  std::int64_t stride = 0;
  py::array y = output_array(out, spec.output, x.shape, &stride);
  const HadamardOperands operands{.x = x.data,
                                  .y = y.mutable_data(),
                                  .rows = x.rows,
                                  .cols = x.cols,
                                  .x_stride = x.stride,
                                  .y_stride = stride,
                                  .signs = sign_bits.data(),
                                  .scale = scale.value_or(orthonormal_scale(spec.order))};
  Status status;
  {
    const py::gil_scoped_release release;
    status = hadamard.run(operands, {threads});
  }
  ensure(status);
  return y;
}

void define_hadamard(py::module_& module) {
  py::class_<Hadamard> type(
      module, "Hadamard",
      "A kernel that rotates: y = scale * H (signs * x) for every block of `order` elements\n"
      "of a row.\n\n"
      "order: a power of two from 2 to 32768, or 12, 20 or 28 times one.\n"
      "input, output: float32, bfloat16 or float16. signs: a sign vector with each call.\n"
      "scaled: multiplies by a scale, 1 / sqrt(order) unless a call gives another.");
  type.def(py::init(&create_hadamard), py::arg("order"), py::kw_only(), py::arg("input") = "float32",
           py::arg("output") = py::none(), py::arg("signs") = false, py::arg("scaled") = true,
           py::arg("kernel") = py::none(), py::arg("max_isa") = py::none());
  type.def(
      "run", &run_hadamard, py::arg("x"), py::kw_only(), py::arg("out") = py::none(),
      py::arg("signs") = py::none(), py::arg("scale") = py::none(), py::arg("threads") = 0,
      "x: [rows, cols] or [cols] of the input type, cols a multiple of the order -> the same shape of the\n"
      "output type; into `out` if given, which may be x.\n\n"
      "signs: [order] of +-1 or booleans (true negates), or those bits in uint8.");
  define_code(type);
}

}  // namespace

void define_kernels(py::module_& module) {
  define_quantizer(module);
  define_decoder(module);
  define_hadamard(module);
}

}  // namespace fourge::python
