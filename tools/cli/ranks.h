// The ranks of an MPI job, where the program was built with MPI (-DFOURGE_MPI=ON) and started by mpirun.
#pragma once

#include <memory>

#include "quant/gptq/ranks.h"

namespace fourge::cli {

/// All processes of the job, or this one alone. Ends MPI when destroyed. Started by mpirun without MPI built
/// in, it fails: R processes would each do the whole job.
Result<std::unique_ptr<quant::Ranks>> start_ranks();

}  // namespace fourge::cli
