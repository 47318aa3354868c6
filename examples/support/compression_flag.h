// A flag --compression of the examples.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace examples {

// "2bit,threshold=0.5" (a type, then name=number) as SetGradientCompression takes it. What is wrong
// with it, that call says.
std::vector<std::pair<std::string, std::string>> CompressionOf(const std::string& flag);

}  // namespace examples
