// fourge.Gemm and fourge.PackedWeights.
#include "fourge/gemm.h"

#include "python/bindings.h"
#include "reference/gemm.h"

namespace fourge::python {
namespace {

Gemm create(std::int64_t m, std::int64_t n, std::int64_t k, const std::string& format,
            const std::string& numerics, const std::string& activations, const py::object& output, bool bias,
            bool accumulate, const std::optional<std::string>& kernel,
            const std::optional<std::string>& max_isa) {
  const Choice choice(kernel, max_isa);
  const GemmSpec spec{.m = m,
                      .n = n,
                      .k = k,
                      .format = parse_format(format),
                      .numerics = parse_numerics(numerics),
                      .activations = parse_activations(activations),
                      .output = parse_output(output),
                      .bias = bias,
                      .accumulate = accumulate};
  const py::gil_scoped_release release;
  return value_of(Gemm::create(spec, choice.options()));
}

// c, bias and d of one call, with what keeps them alive.
struct Call {
  GemmOperands operands;
  ArrayView c, bias;
  py::array d;
};

Call prepare(const GemmSpec& spec, float alpha, const py::object& out, const py::object& bias,
             const py::object& c) {
  Call call;
  call.operands.alpha = alpha;
  if (!bias.is_none()) {
    call.bias = view_of(bias, "bias");
    call.operands.bias = floats_of(call.bias, spec.n, "bias");
  }
  if (!c.is_none()) {
    call.c = view_of(c, "c");
    if (call.c.shape != std::vector<std::int64_t>{spec.m, spec.n})
      throw Failed(Error::kBadShape, "expected m x n", "c");
    call.operands.c = floats_of(call.c, spec.m * spec.n, "c");
  }
  call.d = output_array(out, element_format_of(spec.output), {spec.m, spec.n}, &call.operands.d_stride);
  call.operands.d = call.d.mutable_data();
  return call;
}

template <class View>
py::array run_with(const Gemm& gemm, const View& a, const PackedWeights& weights, float product,
                   const py::object& out, const py::object& bias, const py::object& c, int threads,
                   const py::object& stats) {
  const Call call = prepare(gemm.spec(), product, out, bias, c);
  RunStats counted;
  Status status;
  {
    const py::gil_scoped_release release;
    status = gemm.run(a, weights, call.operands, {threads}, &counted);
  }
  ensure(status);
  if (!stats.is_none()) {
    const auto dict = stats.cast<py::dict>();
    dict["vectors"] = counted.vectors;
    dict["segment_vectors"] = counted.segment_vectors;
    dict["general_vectors"] = counted.general_vectors;
    dict["certified_fraction"] = counted.certified_fraction();
  }
  return call.d;
}

py::array run(const Gemm& gemm, const Matrix& a, const PackedWeights& weights, const py::object& out,
              const py::object& bias, const py::object& c, std::optional<float> alpha, int threads,
              const py::object& stats) {
  const float product = alpha.value_or(gemm_alpha(a.view().tensor_scale, weights.tensor_scale()));
  return run_with(gemm, a.view(), weights, product, out, bias, c, threads, stats);
}

py::array run_plain(const Gemm& gemm, const py::object& input, const PackedWeights& weights,
                    const py::object& out, const py::object& bias, const py::object& c,
                    std::optional<float> alpha, int threads, const py::object& stats) {
  const PlainMatrix a = plain_matrix(input, "a");
  const Activations kind = gemm.spec().activations;
  const ElementFormat expected = kind == Activations::bf16 ? ElementFormat::bf16 : ElementFormat::f32;
  if (kind == Activations::same || a.format != expected) {
    throw Failed(Error::kUnsupportedFormat, "the kernel was made for another type of activations",
                 std::string("a: ") + name_of(a.format) + ", activations '" + name_of(kind) + "'");
  }
  const PlainView view{.data = a.data, .rows = a.rows, .cols = a.cols, .stride = a.stride};
  const float product = alpha.value_or(weights.tensor_scale().as_decode_multiplier());
  return run_with(gemm, view, weights, product, out, bias, c, threads, stats);
}

py::array reference_gemm(const Matrix& a, const Matrix& b, const py::object& output, const py::object& bias,
                         const py::object& c, std::optional<float> alpha) {
  const GemmSpec spec{.m = a.view().rows,
                      .n = b.view().rows,
                      .k = a.view().cols,
                      .format = a.view().format,
                      .output = parse_output(output),
                      .bias = !bias.is_none(),
                      .accumulate = !c.is_none()};
  const float product = alpha.value_or(gemm_alpha(a.view().tensor_scale, b.view().tensor_scale));
  const Call call = prepare(spec, product, py::none(), bias, c);
  Status status;
  {
    const py::gil_scoped_release release;
    status = reference::gemm(spec, a.view(), b.view(), call.operands);
  }
  ensure(status);
  return call.d;
}

void define_packed_weights(py::module_& module) {
  py::class_<PackedWeights>(module, "PackedWeights", "Weights in a kernel's own layout, made by Gemm.pack().")
      .def_property_readonly(
          "shape", [](const PackedWeights& w) { return std::pair(w.n(), w.k()); }, "(n, k) in elements.")
      .def_property_readonly("format", [](const PackedWeights& w) { return name_of(w.format()); })
      .def_property_readonly("bytes", &PackedWeights::bytes)
      .def_property_readonly("bits_per_weight", &PackedWeights::bits_per_weight)
      .def_property_readonly("decode_multiplier",
                             [](const PackedWeights& w) { return w.tensor_scale().as_decode_multiplier(); });
}

}  // namespace

void define_gemm(py::module_& module) {
  define_packed_weights(module);
  py::class_<Gemm> type(
      module, "Gemm",
      "A kernel for D = alpha * A B^T + bias, generated for one shape or fetched from the cache.\n\n"
      "m, n, k: A is m x k, B is n x k (row j of B is column j of the product), D is m x n.\n"
      "format: 'nvfp4', 'mxfp4', 'mxfp4_b16'. numerics: 'blackwell' (the bits of a chain of K = 64\n"
      "        block-scaled tensor-core instructions) or 'fast'. output: float32, bfloat16 or float16.\n"
      "bias: a bias is given with each call. accumulate: the chain starts from a given C.\n"
      "kernel, max_isa: a kernel of the registry by name; the highest level, as 'avx2'.");
  type.def(py::init(&create), py::arg("m"), py::arg("n"), py::arg("k"), py::arg("format") = "nvfp4",
           py::kw_only(), py::arg("numerics") = "blackwell", py::arg("activations") = "same",
           py::arg("output") = "float32", py::arg("bias") = false, py::arg("accumulate") = false,
           py::arg("kernel") = py::none(), py::arg("max_isa") = py::none());
  type.def(
      "pack",
      [](const Gemm& gemm, const Matrix& weights) {
        const py::gil_scoped_release release;
        return value_of(gemm.pack(weights.view()));
      },
      py::arg("weights"), "A QuantizedMatrix of n x k, in any scale layout, as PackedWeights.");
  type.def("run", &run, py::arg("a"), py::arg("weights"), py::kw_only(), py::arg("out") = py::none(),
           py::arg("bias") = py::none(), py::arg("c") = py::none(), py::arg("alpha") = py::none(),
           py::arg("threads") = 0, py::arg("stats") = py::none(),
           "D, m x n. a: QuantizedMatrix, m x k; or, for activations 'bf16' or 'f32', an array [m, k] of "
           "that type.\n"
           "weights: PackedWeights of this kernel.\n\n"
           "out: where D goes, an array of m x n. bias: float32 [n]. c: float32 [m, n].\n"
           "alpha: the product of both tensor scales unless given. threads: 0 is OpenMP's default.\n"
           "stats: a dict that receives how many vectors of outputs were certified.");
  type.def("run", &run_plain, py::arg("a"), py::arg("weights"), py::kw_only(), py::arg("out") = py::none(),
           py::arg("bias") = py::none(), py::arg("c") = py::none(), py::arg("alpha") = py::none(),
           py::arg("threads") = 0, py::arg("stats") = py::none());
  define_code(type);
  module.def("reference_gemm", &reference_gemm, py::arg("a"), py::arg("b"), py::kw_only(),
             py::arg("output") = "float32", py::arg("bias") = py::none(), py::arg("c") = py::none(),
             py::arg("alpha") = py::none(),
             "fourge.gemm by the normative scalar model: slow, what every kernel is held against.");
}

}  // namespace fourge::python
