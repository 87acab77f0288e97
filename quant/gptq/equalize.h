// Moves scale between a layer's input channels and its columns before both are quantised.
//
// With an input of channel deviations x_j, columns of norms w_j and blocks that spread their error evenly
// over a rotated group, both errors of W x are proportional to (sum x_j^2 / s_j^2) (sum w_j^2 s_j^2) for x_j
// / s_j and W_j s_j. Its least value, (sum x_j w_j)^2, is at s_j^2 = x_j / w_j.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "quant/model/model.h"

namespace fourge::quant {

/// sum of x_j^2 over tokens, of every group's input channels; in any unit.
using ChannelMoments = std::array<std::vector<double>, kGroups.size()>;

/// Divides what makes each group's input by s^strength and multiplies the group's columns with it:
///   qkv, gate_up   the gains of the norm before, rounded to bf16 (s is what the rounding gives)
///   o              rows of v, one s for all heads that share a key-value head
///   down           rows of up
/// The block computes the same function but for rounding. Its seven weights become values of its own; v and
/// up know their divisors.
void equalize(const ModelConfig& config, const ChannelMoments& moments, double strength, Block& block);

}  // namespace fourge::quant
