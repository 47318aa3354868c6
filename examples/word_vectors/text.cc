#include "examples/word_vectors/text.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "examples/word_vectors/lzw.h"

namespace word_vectors {
namespace {

// The package's file: this magic, and at byte 92 where the codes of its first window start
// (big-endian; the header of compress(1) stands before them). After the first window the codes go
// on to the end of the file.
constexpr std::string_view kPackageMagic = "EC02Compressed Data File";
constexpr size_t kFirstWindowAt = 92;

std::string DecodePackage(std::string_view bytes) {
  if (bytes.size() < kFirstWindowAt + 4) throw std::runtime_error("cut short");
  size_t start = 0;
  for (size_t i = 0; i < 4; ++i) {
    start = start << 8 | static_cast<uint8_t>(bytes[kFirstWindowAt + i]);
  }
  if (start < 3 || start > bytes.size()) throw std::runtime_error("no window of text");
  return DecodeLzw(bytes.substr(start - 3));
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<uint8_t>(c) > 127;
}
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Adds the words of a piece between blanks.
void AddWords(std::string_view piece, Line* line) {
  for (const char c : piece) {
    if (IsDigit(c)) return;
  }
  std::string word;
  for (size_t i = 0; i < piece.size(); ++i) {
    const bool inside =
        piece[i] == '\'' && !word.empty() && i + 1 < piece.size() && IsLetter(piece[i + 1]);
    if (IsLetter(piece[i]) || inside) {
      word += Lower(piece[i]);
    } else if (!word.empty()) {
      line->push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) line->push_back(std::move(word));
}

}  // namespace

std::string LoadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || bytes.empty()) {
    throw std::runtime_error(path + ": cannot be read (is --text right? " + kDefaultText +
                             " comes with Debian's package bible-kjv-text)");
  }
  if (std::string_view(bytes).substr(0, kPackageMagic.size()) != kPackageMagic) return bytes;
  try {
    return DecodePackage(bytes);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

std::vector<Line> SplitText(std::string_view text) {
  std::vector<Line> lines;
  Line line;
  const auto end_line = [&] {
    if (!line.empty()) lines.push_back(std::exchange(line, {}));
  };
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\n') {
      end_line();
      ++i;
    } else if (IsBlank(text[i])) {
      ++i;
    } else {
      size_t end = i;
      while (end < text.size() && text[end] != '\n' && !IsBlank(text[end])) ++end;
      AddWords(text.substr(i, end - i), &line);
      if (line.size() >= kLineWordsMax) end_line();
      i = end;
    }
  }
  end_line();
  return lines;
}

}  // namespace word_vectors
