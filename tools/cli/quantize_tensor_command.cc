// fourge quantize-tensor: the matrices of a safetensors file, quantised.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "fourge/quantize.h"
#include "fourge/quantizer.h"
#include "quant/atomic_file.h"
#include "quant/hadamard.h"
#include "quant/quantize.h"
#include "quant/safetensors.h"
#include "quant/text.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/options.h"
#include "tools/cli/progress.h"
#include "tools/cli/table.h"

namespace fourge::cli {
namespace {

constexpr const char* kFooter =
    "Each matrix T (two dimensions, F64, F32, F16, BF16 or F8) is replaced by\n"
    "  T.codes   U8 [rows, cols / 2]      e2m1, the even element in the low nibble\n"
    "  T.scales  U8 [rows, cols / block]  nvfp4: ue4m3 per 16; mxfp4: ue8m0 per 32\n"
    "  T.amax    F32 [1]                  largest magnitude of what is quantised\n"
    "Quantised is T, or T^T (--transpose), then rotated (--rotate R in f32; --rht as Transformer Engine and\n"
    "fouroversix do: 16 at a time, their fixed signs, rounded to bf16). rows and cols are those after that.\n"
    "nvfp4: value = code * scale * amax / D, D = 2688 (static_6, search), 1792 (static_4), 1536 (mse, mae, "
    "abs_max, sweep).\n"
    "mxfp4: value = code * scale, and / 3 under shift and search.\n"
    "Tensors of other ranks are copied unchanged; with --tensor, so is every tensor not named.\n"
    "Scale rules: nvfp4 static_6|static_4|mse|mae|abs_max|search|sweep,\n"
    "mxfp4 floor|ceil|even|rceil|static_6|static_4|shift|search|sweep.";

struct QuantizeTensorOptions {
  std::string input;
  std::string output;
  Format format = Format::nvfp4;
  std::string rule;
  bool block_2d = false;
  bool transpose = false;
  std::int64_t rotate = 0;  // 0: no rotation
  bool rht = false;         // quant::randomized_hadamard_16
  std::vector<std::string> names;
};

struct QuantizedRow {
  std::string name;
  quant::DType dtype = quant::DType::f32;
  std::int64_t rows = 0;  // as quantised
  std::int64_t cols = 0;
  float amax = 0.0f;
  double relative_error = 0.0;  // ||x' - x|| / ||x||; 0 for a matrix of zeros
};

struct CopiedRow {
  std::string name;
  quant::DType dtype = quant::DType::f32;
  std::vector<std::int64_t> shape;
  const char* reason = "";
};

struct Report {
  std::vector<QuantizedRow> quantized;
  std::vector<CopiedRow> copied;
  std::string computed_by;  // the kernel
  double seconds = 0.0;
};

std::string where_tensor(const quant::Safetensors& file, const quant::Tensor& tensor) {
  return fmt::format("{}: tensor '{}' {} [{}]", file.name(), tensor.name, quant::name_of(tensor.dtype),
                     fmt::join(tensor.shape, ", "));
}

double relative_error(const std::vector<float>& values, const QuantizedMatrix& matrix) {
  std::vector<float> back(values.size());
  if (!dequantize(matrix.view(), back).ok()) return 0.0;
  double error = 0.0, energy = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i], difference = back[i] - x;
    error += difference * difference;
    energy += x * x;
  }
  return energy == 0.0 ? 0.0 : std::sqrt(error / energy);
}

struct Values {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<float> elements;
};

Status check_shape(const quant::Safetensors& file, const quant::Tensor& tensor,
                   const QuantizeTensorOptions& options) {
  const std::string where = where_tensor(file, tensor);
  if (tensor.shape.size() != 2) return {Error::kBadShape, "expected two dimensions", where};
  const std::int64_t length = tensor.shape[options.transpose ? 0 : 1], block = info(options.format).block;
  const char* kReasons[2][2] = {
      {"nvfp4 expects columns in multiples of 16", "nvfp4 expects rows in multiples of 16 under --transpose"},
      {"mxfp4 expects columns in multiples of 32",
       "mxfp4 expects rows in multiples of 32 under --transpose"}};
  if (length % block != 0)
    return {Error::kBadShape, kReasons[block == 16 ? 0 : 1][options.transpose ? 1 : 0], where};
  if (options.rotate != 0 && length % options.rotate != 0) {
    return {Error::kBadShape,
            options.transpose ? "expected rows in multiples of the rotation under --transpose"
                              : "expected columns in multiples of the rotation",
            fmt::format("{}, --rotate {}", where, options.rotate)};
  }
  return {};
}

/// What is quantised: transposed, rotated; the reason when the matrix cannot be.
Result<Values> matrix_values(const quant::Safetensors& file, const quant::Tensor& tensor,
                             const QuantizeTensorOptions& options) {
  if (Status status = check_shape(file, tensor, options); !status) return status.failure();
  const std::string where = where_tensor(file, tensor);
  Result<std::vector<float>> elements = quant::tensor_to_f32(tensor);
  if (!elements) return {elements.error(), elements.failure().reason, where};
  const auto bad =
      std::find_if(elements->begin(), elements->end(), [](float x) { return !std::isfinite(x); });
  if (bad != elements->end()) {
    const std::int64_t index = bad - elements->begin(), cols = tensor.shape[1];
    return {Error::kBadArgument, "expected finite values that fit f32",
            fmt::format("{}: element [{}, {}] is {}", where, index / cols, index % cols, *bad)};
  }
  Values values{tensor.shape[0], tensor.shape[1], std::move(*elements)};
  if (options.transpose) {
    values.elements = quant::transposed(values.elements, values.rows, values.cols);
    std::swap(values.rows, values.cols);
  }
  if (options.rht) {
    if (Status status = quant::randomized_hadamard_16(values.elements); !status) return status.failure();
  } else if (options.rotate != 0) {
    if (Status status = quant::hadamard_blocks(values.elements, options.rotate); !status)
      return status.failure();
  }
  return values;
}

/// The kernel for a rule.
class MatrixQuantizer {
 public:
  explicit MatrixQuantizer(const QuantizeSpec& spec)
      : spec_(spec), kernel_(Quantizer::create({.quantize = spec})) {}

  std::string computed_by() const { return kernel_.ok() ? kernel_->code().name : std::string(); }

  Result<QuantizedMatrix> run(const Values& values) const {
    if (!kernel_.ok()) return kernel_.failure();
    QuantizedMatrix matrix;
    matrix.format = spec_.format;
    matrix.rows = values.rows;
    matrix.cols = values.cols;
    matrix.layout = spec_.layout;
    matrix.codes.resize(static_cast<std::size_t>(values.rows * values.cols / 2));
    matrix.scales.resize(
        static_cast<std::size_t>(scale_bytes(spec_.layout, values.rows, matrix.scale_cols())));
    const Result<QuantizeOutcome> outcome = kernel_->run({.x = values.elements.data(),
                                                          .rows = values.rows,
                                                          .cols = values.cols,
                                                          .codes = matrix.codes.data(),
                                                          .scales = matrix.scales.data()});
    if (!outcome) return outcome.failure();
    // Found by the kernel only where the rule needs it.
    matrix.amax = outcome->amax != 0.0f ? outcome->amax : quant::tensor_amax(values.elements);
    matrix.tensor_scale = outcome->tensor_scale;
    return matrix;
  }

 private:
  QuantizeSpec spec_;
  Result<Quantizer> kernel_;
};

Result<QuantizedRow> quantize_one(const quant::Safetensors& file, const quant::Tensor& tensor,
                                  const QuantizeTensorOptions& options, const MatrixQuantizer& quantizer,
                                  quant::SafetensorsWriter& writer) {
  const Result<Values> values = matrix_values(file, tensor, options);
  if (!values) return values.failure();
  const std::int64_t rows = values->rows, cols = values->cols;
  Result<QuantizedMatrix> matrix = quantizer.run(*values);
  if (!matrix) return {matrix.error(), matrix.failure().reason, where_tensor(file, tensor)};

  const QuantizedRow row{tensor.name, tensor.dtype, rows,
                         cols,        matrix->amax, relative_error(values->elements, *matrix)};
  std::vector<std::uint8_t> amax(sizeof(float));
  std::memcpy(amax.data(), &matrix->amax, sizeof(float));
  const std::int64_t scale_cols = matrix->scale_cols();
  using quant::DType;
  for (const Status& status :
       {writer.add_owned(tensor.name + ".codes", DType::u8, {rows, cols / 2}, std::move(matrix->codes)),
        writer.add_owned(tensor.name + ".scales", DType::u8, {rows, scale_cols}, std::move(matrix->scales)),
        writer.add_owned(tensor.name + ".amax", DType::f32, {1}, std::move(amax))}) {
    if (!status.ok()) return status.failure();
  }
  return row;
}

/// What a reader needs to decode the output, and the input's own metadata.
Status add_metadata(const quant::Safetensors& file, const QuantizeTensorOptions& options,
                    quant::SafetensorsWriter& writer) {
  constexpr std::string_view kOurs = "fourge.";
  std::vector<std::pair<std::string, std::string>> entries = {
      {"fourge.format", name_of(options.format)},
      {"fourge.scale_rule", options.rule},
      {"fourge.block_2d", options.block_2d ? "true" : "false"},
      {"fourge.rotate", std::to_string(options.rotate)},
      {"fourge.rht", options.rht ? "true" : "false"},
      {"fourge.transpose", options.transpose ? "true" : "false"},
  };
  for (const auto& [key, value] : file.metadata()) {
    if (key.substr(0, kOurs.size()) != kOurs) entries.emplace_back(key, value);
  }
  for (auto& [key, value] : entries) {
    if (Status status = writer.add_metadata(key, std::move(value)); !status) return status;
  }
  return {};
}

Result<Report> convert(const quant::Safetensors& file, const QuantizeTensorOptions& options, ScaleRule rule) {
  const QuantizeSpec spec{
      .format = options.format, .rule = rule, .block_2d = options.block_2d, .layout = ScaleLayout::linear};
  for (const std::string& name : options.names) {
    if (const Result<quant::Tensor> tensor = file.find(name); !tensor) return tensor.failure();
  }
  const MatrixQuantizer quantizer(spec);
  Report report;
  report.computed_by = quantizer.computed_by();
  quant::SafetensorsWriter writer;
  if (Status status = add_metadata(file, options, writer); !status) return status.failure();
  Progress progress("quantize", static_cast<std::int64_t>(file.tensors().size()));
  for (const quant::Tensor& tensor : file.tensors()) {
    const bool named =
        std::find(options.names.begin(), options.names.end(), tensor.name) != options.names.end();
    if (options.names.empty() ? tensor.shape.size() == 2 : named) {
      Result<QuantizedRow> row = quantize_one(file, tensor, options, quantizer, writer);
      if (!row) return row.failure();
      report.quantized.push_back(std::move(*row));
    } else {
      const Status status = writer.add(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
      if (!status) return status.failure();
      const char* reason = options.names.empty() ? "not two-dimensional" : "not named by --tensor";
      report.copied.push_back({tensor.name, tensor.dtype, tensor.shape, reason});
    }
    progress.advance();
  }
  if (report.quantized.empty()) {
    return {Error::kBadShape, "expected at least one tensor of two dimensions",
            fmt::format("{}: {} tensors", file.name(), file.tensors().size())};
  }
  if (Status status = writer.write(options.output); !status) return status.failure();
  return report;
}

Json to_json(const Report& report, const QuantizeTensorOptions& options) {
  Json document = {{"input", options.input},
                   {"output", options.output},
                   {"format", name_of(options.format)},
                   {"block", info(options.format).block},
                   {"scale_rule", options.rule},
                   {"block_2d", options.block_2d},
                   {"rotate", options.rotate},
                   {"rht", options.rht},
                   {"transpose", options.transpose},
                   {"computed_by", report.computed_by},
                   {"seconds", report.seconds},
                   {"tensors", Json::array()},
                   {"copied", Json::array()}};
  for (const QuantizedRow& row : report.quantized) {
    document["tensors"].push_back({{"name", row.name},
                                   {"dtype", quant::name_of(row.dtype)},
                                   {"rows", row.rows},
                                   {"cols", row.cols},
                                   {"amax", row.amax},
                                   {"relative_error", row.relative_error}});
  }
  for (const CopiedRow& row : report.copied) {
    document["copied"].push_back({{"name", row.name},
                                  {"dtype", quant::name_of(row.dtype)},
                                  {"shape", row.shape},
                                  {"reason", row.reason}});
  }
  return document;
}

void print_text(const Report& report, const QuantizeTensorOptions& options) {
  Table table({{"tensor", Table::Align::kLeft},
               {"from", Table::Align::kLeft},
               {"rows"},
               {"cols"},
               {"amax"},
               {"relative error"}});
  for (const QuantizedRow& row : report.quantized) {
    table.add_row({quant::printable(row.name), std::string(quant::name_of(row.dtype)),
                   std::to_string(row.rows), std::to_string(row.cols), fmt::format("{:.6g}", row.amax),
                   fmt::format("{:.5f}", row.relative_error)});
  }
  table.print();
  for (const CopiedRow& row : report.copied) {
    fmt::print("copied {} {} [{}]: {}\n", quant::printable(row.name), quant::name_of(row.dtype),
               fmt::join(row.shape, ", "), row.reason);
  }
  const std::string rotated = options.rht           ? ", rotated by 16 with signs, in bf16"
                              : options.rotate != 0 ? fmt::format(", rotated by {}", options.rotate)
                                                    : "";
  fmt::print("{} {} {}{}{}: {} quantized, {} copied, {:.2f} s -> {}\nby {}\n", name_of(options.format),
             options.rule, options.block_2d ? "2-D blocks" : "1-D blocks",
             options.transpose ? ", transposed" : "", rotated, report.quantized.size(), report.copied.size(),
             report.seconds, options.output, report.computed_by);
}

Result<Outcome> run(const QuantizeTensorOptions& options, Context& context) {
  const auto start = std::chrono::steady_clock::now();
  const Result<ScaleRule> rule = quant::scale_rule_of_name(options.format, options.rule);
  if (!rule) return rule.failure();
  if (options.rotate != 0) {
    std::vector<float> probe;  // the order is checked before the file is read
    if (Status status = quant::hadamard_blocks(probe, options.rotate); !status) return status.failure();
  }
  const Result<quant::Safetensors> file = quant::Safetensors::open(options.input);
  if (!file) return file.failure();
  if (const Result<quant::AtomicFile> probe = quant::AtomicFile::create(options.output); !probe.ok()) {
    return probe.failure();  // an output that cannot be is found before the work
  }
  Result<Report> report = convert(*file, options, *rule);
  if (!report) return report.failure();
  report->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (context.json()) {
    context.print(to_json(*report, options));
  } else {
    print_text(*report, options);
  }
  return Outcome::kTrue;
}

}  // namespace

void add_quantize_tensor_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<QuantizeTensorOptions>();
  CLI::App* command = app.add_subcommand("quantize-tensor", "Quantise the matrices of a safetensors file");
  command->footer(kFooter);
  command->add_option("input", options->input, "Input file")->required()->type_name("IN.safetensors");
  add_choice(*command, "--format", options->format, {Format::nvfp4, Format::mxfp4}, "Block format")
      ->required()
      ->default_str("");
  command->add_option("--scale-rule", options->rule, "How a block gets its scale, see below")
      ->required()
      ->type_name("RULE");
  command->add_flag("--block-2d", options->block_2d, "One scale per square of block x block elements");
  command->add_flag("--transpose", options->transpose,
                    "Quantise the transposed matrix: blocks down its columns");
  CLI::Option* rotate =
      add_count(*command, "--rotate", options->rotate, 2, quant::kLargestHadamard,
                "Rotate runs of R columns by a Hadamard matrix / sqrt(R) first; R a power of two")
          ->type_name("R");
  command
      ->add_flag("--rht", options->rht, "Rotate runs of 16 columns with Transformer Engine's signs, in bf16")
      ->excludes(rotate);
  command->add_option("--tensor", options->names, "Quantise only this tensor; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--out", options->output, "Output file, written whole or not at all")
      ->required()
      ->type_name("OUT.safetensors");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
