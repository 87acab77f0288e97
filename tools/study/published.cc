#include "tools/study/published.h"

namespace fourge::study {
namespace {

constexpr const char* kFpQuant = "FP-Quant";
constexpr const char* kFourOverSix = "fouroversix";

constexpr Published kPublished[] = {
    {Distribution::normal, {Format::nvfp4, ScaleRule::static_6, 0}, 0.00905, kFpQuant},
    {Distribution::normal, {Format::nvfp4, ScaleRule::search, 0}, 0.00790, kFpQuant},
    {Distribution::normal, {Format::mxfp4, ScaleRule::shift, 0}, 0.01385, kFpQuant},
    {Distribution::normal, {Format::mxfp4, ScaleRule::search, 0}, 0.01349, kFpQuant},
    {Distribution::normal, {Format::nvfp4, ScaleRule::static_6, 16}, 0.00903, kFpQuant},
    {Distribution::normal, {Format::nvfp4, ScaleRule::search, 16}, 0.00789, kFpQuant},
    {Distribution::normal, {Format::mxfp4, ScaleRule::shift, 16}, 0.01388, kFpQuant},
    {Distribution::normal, {Format::mxfp4, ScaleRule::search, 16}, 0.01351, kFpQuant},
    {Distribution::normal, {Format::nvfp4, ScaleRule::static_6, 32}, 0.00904, kFpQuant},
    {Distribution::normal, {Format::nvfp4, ScaleRule::search, 32}, 0.00789, kFpQuant},
    {Distribution::normal, {Format::mxfp4, ScaleRule::shift, 32}, 0.01387, kFpQuant},
    {Distribution::normal, {Format::mxfp4, ScaleRule::search, 32}, 0.01351, kFpQuant},
    {Distribution::normal, {Format::nvfp4, ScaleRule::static_6, 128}, 0.00906, kFpQuant},
    {Distribution::normal, {Format::nvfp4, ScaleRule::search, 128}, 0.00791, kFpQuant},
    {Distribution::normal, {Format::mxfp4, ScaleRule::shift, 128}, 0.01382, kFpQuant},
    {Distribution::normal, {Format::mxfp4, ScaleRule::search, 128}, 0.01346, kFpQuant},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::static_6, 0}, 0.00859, kFpQuant},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::search, 0}, 0.00768, kFpQuant},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::shift, 0}, 0.01754, kFpQuant},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::search, 0}, 0.01696, kFpQuant},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::static_6, 16}, 0.00923, kFpQuant},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::search, 16}, 0.00800, kFpQuant},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::shift, 16}, 0.01345, kFpQuant},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::search, 16}, 0.01312, kFpQuant},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::static_6, 32}, 0.00915, kFpQuant},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::search, 32}, 0.00796, kFpQuant},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::shift, 32}, 0.01330, kFpQuant},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::search, 32}, 0.01299, kFpQuant},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::static_6, 128}, 0.00906, kFpQuant},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::search, 128}, 0.00790, kFpQuant},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::shift, 128}, 0.01342, kFpQuant},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::search, 128}, 0.01312, kFpQuant},
    {Distribution::student_t5, {Format::nvfp4, ScaleRule::static_6, 0}, 0.00853, kFpQuant},
    {Distribution::student_t5, {Format::nvfp4, ScaleRule::search, 0}, 0.00766, kFpQuant},
    {Distribution::student_t5, {Format::mxfp4, ScaleRule::shift, 0}, 0.01760, kFpQuant},
    {Distribution::student_t5, {Format::mxfp4, ScaleRule::search, 0}, 0.01709, kFpQuant},
    {Distribution::student_t5, {Format::nvfp4, ScaleRule::static_6, 16}, 0.00920, kFpQuant},
    {Distribution::student_t5, {Format::nvfp4, ScaleRule::search, 16}, 0.00799, kFpQuant},
    {Distribution::student_t5, {Format::mxfp4, ScaleRule::shift, 16}, 0.01337, kFpQuant},
    {Distribution::student_t5, {Format::mxfp4, ScaleRule::search, 16}, 0.01311, kFpQuant},
    {Distribution::student_t5, {Format::nvfp4, ScaleRule::static_6, 32}, 0.00915, kFpQuant},
    {Distribution::student_t5, {Format::nvfp4, ScaleRule::search, 32}, 0.00797, kFpQuant},
    {Distribution::student_t5, {Format::mxfp4, ScaleRule::shift, 32}, 0.01318, kFpQuant},
    {Distribution::student_t5, {Format::mxfp4, ScaleRule::search, 32}, 0.01294, kFpQuant},
    {Distribution::student_t5, {Format::nvfp4, ScaleRule::static_6, 128}, 0.00907, kFpQuant},
    {Distribution::normal, {Format::nvfp4, ScaleRule::static_6, 0}, 0.00906, kFourOverSix},
    {Distribution::normal, {Format::nvfp4, ScaleRule::static_4, 0}, 0.00964, kFourOverSix},
    {Distribution::normal, {Format::nvfp4, ScaleRule::mse_4_6, 0}, 0.00756, kFourOverSix},
    {Distribution::normal, {Format::nvfp4, ScaleRule::mae_4_6, 0}, 0.00780, kFourOverSix},
    {Distribution::normal, {Format::nvfp4, ScaleRule::abs_max_4_6, 0}, 0.00799, kFourOverSix},
    {Distribution::normal, {Format::mxfp4, ScaleRule::static_6, 0}, 0.01332, kFourOverSix},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::static_6, 0}, 0.00857, kFourOverSix},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::static_4, 0}, 0.01092, kFourOverSix},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::mse_4_6, 0}, 0.00758, kFourOverSix},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::mae_4_6, 0}, 0.00781, kFourOverSix},
    {Distribution::laplace, {Format::nvfp4, ScaleRule::abs_max_4_6, 0}, 0.00816, kFourOverSix},
    {Distribution::laplace, {Format::mxfp4, ScaleRule::static_6, 0}, 0.01743, kFourOverSix},
    {Distribution::student_t3, {Format::nvfp4, ScaleRule::static_6, 0}, 0.00782, kFourOverSix},
    {Distribution::student_t3, {Format::nvfp4, ScaleRule::static_4, 0}, 0.01157, kFourOverSix},
    {Distribution::student_t3, {Format::nvfp4, ScaleRule::mse_4_6, 0}, 0.00720, kFourOverSix},
    {Distribution::student_t3, {Format::nvfp4, ScaleRule::mae_4_6, 0}, 0.00735, kFourOverSix},
    {Distribution::student_t3, {Format::nvfp4, ScaleRule::abs_max_4_6, 0}, 0.00770, kFourOverSix},
    {Distribution::student_t3, {Format::mxfp4, ScaleRule::static_6, 0}, 0.02167, kFourOverSix},
};

}  // namespace

std::span<const Published> published() { return kPublished; }

}  // namespace fourge::study
