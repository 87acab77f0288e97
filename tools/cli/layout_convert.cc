#include "tools/cli/layout_convert.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <vector>

#include "quant/safetensors.h"

namespace fourge::cli {
namespace {

std::string where_tensor(const LayoutConversion& conversion, const quant::Tensor& tensor) {
  return fmt::format("{}: tensor '{}' {} [{}]", conversion.input.file, tensor.name,
                     quant::name_of(tensor.dtype), fmt::join(tensor.shape, ", "));
}

bool holds_scales(quant::DType dtype) {
  return dtype == quant::DType::u8 || dtype == quant::DType::f8_e4m3 || dtype == quant::DType::f8_e8m0;
}

/// Rows and columns from the options, else from the tensor; checked against its bytes.
Result<LayoutConversion> sized(LayoutConversion conversion, const quant::Tensor& tensor) {
  const std::string where = where_tensor(conversion, tensor);
  if (!holds_scales(tensor.dtype)) {
    return {Error::kUnsupportedFormat, "expected U8, F8_E4M3 or F8_E8M0 scales", where};
  }
  if ((conversion.rows == 0 || conversion.columns == 0) && tensor.shape.size() != 2) {
    return {Error::kBadShape, "expected two dimensions, or --rows and --cols", where};
  }
  if (conversion.rows == 0) conversion.rows = tensor.shape[0];
  if (conversion.columns == 0) conversion.columns = tensor.shape[1];
  if (tensor.bytes.empty()) return {Error::kBadShape, "expected at least one scale", where};
  const auto bytes = static_cast<std::int64_t>(tensor.bytes.size());
  const bool fits = conversion.rows <= bytes / conversion.columns;  // scale_bytes cannot overflow
  if (!fits || scale_bytes(conversion.from, conversion.rows, conversion.columns) != bytes) {
    return {Error::kBadShape, "expected as many bytes as the scales and the padding of the layout take",
            fmt::format("{}: {} bytes for {} x {} scales in {}", where, bytes, conversion.rows,
                        conversion.columns, name_of(conversion.from))};
  }
  return conversion;
}

}  // namespace

Result<LayoutConversion> convert_layout(const LayoutConversion& conversion) {
  const Result<quant::Safetensors> file = quant::Safetensors::open(conversion.input.file);
  if (!file) return file.failure();
  const Result<quant::Tensor> tensor = file->find(conversion.input.tensor);
  if (!tensor) return tensor.failure();
  const Result<LayoutConversion> done = sized(conversion, *tensor);
  if (!done) return done.failure();

  const std::int64_t rows = padded_scale_rows(done->to, done->rows);
  const std::int64_t columns = padded_scale_columns(done->to, done->columns);
  std::vector<std::uint8_t> scales(static_cast<std::size_t>(rows * columns));
  convert_scales(done->from, tensor->bytes.data(), done->to, scales.data(), done->rows, done->columns);

  quant::SafetensorsWriter writer;
  for (const Status& status :
       {writer.add_owned(tensor->name, tensor->dtype, {rows, columns}, std::move(scales)),
        writer.add_metadata("fourge.scale_layout", name_of(done->to)),
        writer.add_metadata("fourge.scale_rows", std::to_string(done->rows)),
        writer.add_metadata("fourge.scale_cols", std::to_string(done->columns))}) {
    if (!status.ok()) return status.failure();
  }
  if (Status status = writer.write(done->output); !status.ok()) return status.failure();
  return done;
}

}  // namespace fourge::cli
