// The page of `fourge report` from its document alone.
#pragma once

#include <string>

#include "tools/report/html.h"

namespace fourge::report {

/// A complete HTML page that needs nothing else: style and drawings inline, no script that runs, the document
/// embedded as JSON (id "data"). Every part of the document may be missing; its section then says so.
/// The keys: docs/cli.md, "report".
std::string render_page(const Json& document);

// Its sections, each from the whole document.
std::string machine_section(const Json& document);
std::string speed_section(const Json& document);
std::string roofline_section(const Json& document);
std::string certified_section(const Json& document);
std::string scaling_section(const Json& document);
std::string study_section(const Json& document);
std::string layers_section(const Json& document);
std::string models_section(const Json& document);
std::string kernels_section(const Json& document);
std::string evidence_section(const Json& document);

}  // namespace fourge::report
