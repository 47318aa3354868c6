#include "examples/word_vectors/vocabulary.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace word_vectors {

Vocabulary::Vocabulary(const std::vector<Line>& lines, uint64_t count_min) {
  std::unordered_map<std::string, uint64_t> counts;
  for (const Line& line : lines) {
    for (const std::string& word : line) ++counts[word];
  }
  std::vector<std::pair<std::string, uint64_t>> kept;
  for (const auto& entry : counts) {
    if (entry.second >= count_min) kept.push_back(entry);
  }
  if (kept.size() < 2) {
    throw std::runtime_error("a text with at least two words that occur " +
                             std::to_string(count_min) + " times expected, got " +
                             std::to_string(kept.size()));
  }
  std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  for (auto& [word, count] : kept) {
    ids_.emplace(word, size());
    words_.push_back(word);
    counts_.push_back(count);
    total_ += count;
  }
}

uint32_t Vocabulary::IdOf(const std::string& word) const {
  const auto found = ids_.find(word);
  if (found == ids_.end()) throw std::runtime_error("'" + word + "' is no word of the vocabulary");
  return found->second;
}

Corpus Vocabulary::Encode(const std::vector<Line>& lines) const {
  Corpus corpus;
  for (const Line& line : lines) {
    std::vector<uint32_t> ids;
    for (const std::string& word : line) {
      const auto found = ids_.find(word);
      if (found != ids_.end()) ids.push_back(found->second);
    }
    corpus.push_back(std::move(ids));
  }
  return corpus;
}

}  // namespace word_vectors
