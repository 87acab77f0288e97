// The tensor scale of NVFP4 under the names that checkpoints give it. Each says which way it points; taking
// one for the other is silent and wrong by the square of the scale.
//
//   file                tensor                          value                     value of an element
//   ModelOpt            weight_scale_2, input_scale     amax / (q_max * s_max)    code * scale * x
//   compressed-tensors  weight_global_scale,            q_max * s_max / amax      code * scale / x
//                       input_global_scale
//   fouroversix         quantized_weight_amax           amax                      code * scale * x / (6 *
//   256) FP-Quant            weight_global_scale             encode side               code * scale / x
//
// q_max * s_max is 2688 (6 * 448) but under static_4 (4 * 448) and Four Over Six (6 * 256).
// Sources: Model-Optimizer a2fbac7bad8a, compressed-tensors ac8e2ba82f4e, fouroversix dadfad6901d4, FP-Quant
// d2e3092.
#pragma once

#include "fourge/matrix.h"
#include "fourge/quantize.h"
#include "quant/nvfp4.h"

namespace fourge::quant {

inline TensorScale from_modelopt(float weight_scale_2) {
  return TensorScale::decode_multiplier(weight_scale_2);
}
inline TensorScale from_compressed_tensors(float weight_global_scale) {
  return TensorScale::encode_multiplier(weight_global_scale);
}
inline TensorScale from_fp_quant(float weight_global_scale) {
  return TensorScale::encode_multiplier(weight_global_scale);
}
inline TensorScale from_fouroversix(float quantized_weight_amax, ScaleRule rule) {
  return TensorScale::decode_multiplier(nvfp4_tensor_scale({.rule = rule}, quantized_weight_amax));
}

/// The other way; the stored value itself when it already points that way, else one division.
inline float to_modelopt(const TensorScale& scale) { return scale.as_decode_multiplier(); }
inline float to_compressed_tensors(const TensorScale& scale) { return scale.as_encode_multiplier(); }
inline float to_fp_quant(const TensorScale& scale) { return scale.as_encode_multiplier(); }

}  // namespace fourge::quant
