// The words of a text: word r is row r of the tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "examples/word_vectors/text.h"

namespace word_vectors {

// Lines as numbers of words. Words that are not in the vocabulary are left out.
using Corpus = std::vector<std::vector<uint32_t>>;

class Vocabulary {
 public:
  // The words that occur at least `count_min` times: the most frequent first, equally frequent ones
  // in the order of their bytes. Throws std::runtime_error if fewer than two words do.
  Vocabulary(const std::vector<Line>& lines, uint64_t count_min);

  uint32_t size() const { return static_cast<uint32_t>(words_.size()); }
  const std::string& word(uint32_t id) const { return words_[id]; }
  uint64_t count(uint32_t id) const { return counts_[id]; }
  const std::vector<uint64_t>& counts() const { return counts_; }
  // How many words of the text are words of the vocabulary.
  uint64_t total() const { return total_; }
  // Throws std::runtime_error that names an unknown word.
  uint32_t IdOf(const std::string& word) const;
  bool Has(const std::string& word) const { return ids_.count(word) > 0; }

  Corpus Encode(const std::vector<Line>& lines) const;

 private:
  std::vector<std::string> words_;
  std::vector<uint64_t> counts_;
  std::unordered_map<std::string, uint32_t> ids_;
  uint64_t total_ = 0;
};

}  // namespace word_vectors
