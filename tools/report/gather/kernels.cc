// The kernels that dispatch chooses here, as they were generated; and what the reference rests on.
#include <fmt/format.h>

#include "fourge/decode.h"
#include "fourge/gemm.h"
#include "fourge/hadamard.h"
#include "fourge/quantizer.h"
#include "jit/asm/listing.h"
#include "reference/mma/rules.h"
#include "tools/report/gather/gather.h"

namespace fourge::report {
namespace {

Json kernel_row(const std::string& spec, const KernelCode& code, bool with_listing) {
  Json row = {{"spec", spec},
              {"name", code.name},
              {"isa", code.isa},
              {"exactness", code.exactness},
              {"bytes", code.bytes.size()},
              {"budget", code.budget},
              {"plan", code.plan},
              {"registers", Json::array()},
              {"listing", nullptr}};
  for (const auto& [registers, role] : code.registers) row["registers"].push_back({registers, role});
  if (!with_listing || code.bytes.empty()) return row;
  const fourge::Result<std::string> listing = jit::annotated_listing(code);
  if (listing) {
    row["listing"] = *listing;
  } else {
    row["listing_absent"] = listing.failure().message();
  }
  return row;
}

// Listings name no value twice: kernels of one name appear once.
class Listings {
 public:
  explicit Listings(bool with_listing) : with_listing_(with_listing) {}

  template <class Operation>
  Status add(const std::string& spec, const fourge::Result<Operation>& operation) {
    if (!operation) return operation.failure();
    for (const Json& row : rows_) {
      if (row.at("name") == operation->code().name) return {};
    }
    rows_.push_back(kernel_row(spec, operation->code(), with_listing_));
    return {};
  }
  Json take() { return std::move(rows_); }

 private:
  bool with_listing_;
  Json rows_ = Json::array();
};

}  // namespace

fourge::Result<Json> kernel_listings(const GatherOptions& options) {
  Listings listings(options.listings);
  const GemmSpec specs[] = {
      {.m = 1, .n = 4096, .k = 4096, .format = Format::nvfp4},
      {.m = 512, .n = 4096, .k = 4096, .format = Format::nvfp4},
      {.m = 512, .n = 4096, .k = 4096, .format = Format::mxfp4},
      {.m = 512, .n = 4096, .k = 4096, .format = Format::nvfp4, .numerics = Numerics::fast},
      {.m = 32,
       .n = 4096,
       .k = 4096,
       .format = Format::nvfp4,
       .numerics = Numerics::fast,
       .activations = Activations::bf16}};
  for (const GemmSpec& spec : specs) {
    const std::string text = fmt::format("GEMM {}x{}x{}, {}, numerics {}{}", spec.m, spec.n, spec.k,
                                         name_of(spec.format), name_of(spec.numerics),
                                         spec.activations == Activations::same ? "" : ", bf16 activations");
    if (const Status added = listings.add(text, Gemm::create(spec)); !added) return added.failure();
  }
  if (const Status added =
          listings.add("Hadamard rotation of order 128, f32", Hadamard::create({.order = 128}));
      !added)
    return added.failure();
  const QuantizerSpec quantizer{.quantize = {.rule = ScaleRule::mse_4_6}, .input = ElementFormat::bf16};
  if (const Status added = listings.add("Four Over Six from bf16", Quantizer::create(quantizer)); !added)
    return added.failure();
  const DecodeSpec decode{.output = ElementFormat::bf16};
  if (const Status added = listings.add("Decoding NVFP4 to bf16", Decoder::create(decode)); !added)
    return added.failure();
  return listings.take();
}

Json evidence_table() {
  Json rows = Json::array();
  for (const reference::MmaModel& model : reference::kMmaModels) {
    rows.push_back({{"name", model.name},
                    {"evidence", name_of(model.evidence)},
                    {"source", model.source},
                    {"fraction_bits", model.rules.fraction_bits},
                    {"products_per_sum", model.rules.products_per_sum},
                    {"rounding", model.rules.rounding == Rounding::rz ? "toward zero" : "to nearest even"}});
  }
  return rows;
}

}  // namespace fourge::report
