#include "examples/support/compression_flag.h"

#include <sstream>

namespace examples {

std::vector<std::pair<std::string, std::string>> CompressionOf(const std::string& flag) {
  std::vector<std::pair<std::string, std::string>> parameters;
  std::istringstream words(flag);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    if (parameters.empty()) {
      parameters.emplace_back("type", word);
    } else if (equals == std::string::npos) {
      parameters.emplace_back(word, "");
    } else {
      parameters.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  return parameters;
}

}  // namespace examples
