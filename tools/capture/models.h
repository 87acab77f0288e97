// Which model of the reference each instruction belongs to on which GPU.
#pragma once

#include <string>
#include <vector>

#include "instruction.h"

namespace fourge::capture {

// Every instruction the program knows, whatever GPU is present.
std::vector<Instruction> all_instructions();

// Name of the model (fourge conform knows it) that this instruction follows on a GPU of the given compute
// capability, 10 * major + minor; empty where the GPU lacks the instruction.
std::string model_of(const Instruction& instruction, int capability);

// "sm_90a" and the like, for messages.
const char* needs(const Instruction& instruction);

// The capability whose model --list shows where there is no GPU to ask.
int usual_capability(const Instruction& instruction);

// False for the parts that were only ever compiled (see the first lines of their files).
bool has_been_run(const Instruction& instruction);

// "mma_sync_m16n8k32_e4m3_e5m2", unique among the instructions of one model.
std::string short_name(const Instruction& instruction);

}  // namespace fourge::capture
