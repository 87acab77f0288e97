// Text for HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace fourge::report {

/// & < > " ' as entities: safe between tags and in quoted attributes.
std::string escape(std::string_view text);

/// A coordinate: two decimals at most, no exponent.
std::string coordinate(double value);

/// A number for people: `digits` significant digits, plain from 1e-4 to 1e7, else with an exponent. "0" for
/// 0.
std::string number_text(double value, int digits = 3);

/// A name as an id: letters, digits and hyphens.
std::string id_of(std::string_view name);

}  // namespace fourge::report
