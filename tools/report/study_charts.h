// The study of random values (tools/study) as charts.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fourge::report {

using Json = nlohmann::ordered_json;

/// One chart for each distribution and format: error over rotation, a line for each rule, the published
/// values beside them. `study` as study::to_json() makes it; `pointer` is where it stands in the document.
std::vector<std::string> study_charts(const Json& study, const std::string& pointer);

}  // namespace fourge::report
