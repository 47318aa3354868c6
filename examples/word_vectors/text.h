// The text to learn from, as lines of words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace word_vectors {

// What Debian's package bible-kjv-text installs.
inline constexpr const char* kDefaultText = "/usr/lib/bible.data";

// Reads plain text, or the file of bible-kjv-text (windows of text compressed as compress(1) does,
// one line per verse). Throws std::runtime_error that names the file.
std::string LoadText(const std::string& path);

using Line = std::vector<std::string>;

// The lines of the text in lower case. A word is a run of letters, with apostrophes inside it
// ("king's"); bytes above 127 count as letters, so UTF-8 stays whole. Anything that has a digit in
// it is left out up to the next blank ("Ge1:1"). Lines without words are left out, lines of more
// than kLineWordsMax words are cut.
std::vector<Line> SplitText(std::string_view text);

inline constexpr size_t kLineWordsMax = 1000;

}  // namespace word_vectors
