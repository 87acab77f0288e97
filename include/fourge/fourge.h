// Everything that the library does, for C++. From C: <fourge.h>.
#pragma once

#include "fourge/decode.h"           // IWYU pragma: export
#include "fourge/error.h"            // IWYU pragma: export
#include "fourge/formats.h"          // IWYU pragma: export
#include "fourge/gemm.h"             // IWYU pragma: export
#include "fourge/gptq.h"             // IWYU pragma: export
#include "fourge/hadamard.h"         // IWYU pragma: export
#include "fourge/hadamard_matrix.h"  // IWYU pragma: export
#include "fourge/kernel.h"           // IWYU pragma: export
#include "fourge/matrix.h"           // IWYU pragma: export
#include "fourge/quantize.h"         // IWYU pragma: export
#include "fourge/quantizer.h"        // IWYU pragma: export
#include "fourge/rounding.h"         // IWYU pragma: export
#include "fourge/scale_layout.h"     // IWYU pragma: export
#include "fourge/stochastic.h"       // IWYU pragma: export
#include "fourge/version.h"          // IWYU pragma: export
