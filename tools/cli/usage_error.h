// What the command line parser refused, said in this program's one line.
#pragma once

#include <CLI/CLI.hpp>

#include "tools/cli/context.h"

namespace fourge::cli {

/// Prints the line for `error` and returns exit code 2.
int fail_usage(const CLI::App& app, const CLI::ParseError& error, Context& context);

}  // namespace fourge::cli
