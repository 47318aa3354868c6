#include "cli/printer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace kvstore {
namespace {

constexpr const char* kColours[] = {"\x1b[36m", "\x1b[33m", "\x1b[32m",
                                    "\x1b[35m", "\x1b[34m", "\x1b[31m"};
constexpr const char* kRed = "\x1b[31m";
constexpr const char* kPlain = "\x1b[0m";

bool UsesColour(FILE* file) {
  const char* no_colour = std::getenv("NO_COLOR");
  return isatty(fileno(file)) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

// Whole lines at once, so that lines of different processes never mix. Somebody who reads our
// output and goes away is no reason to fail.
void Write(FILE* file, const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), file);
  std::fflush(file);
}

}  // namespace

std::string Table::ToString() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    for (size_t c = 0; c < row.size(); ++c) {
      text += c + 1 < row.size() ? fmt::format("{:<{}}  ", row[c], widths[c]) : row[c];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

std::string DurationText(uint64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60000) return fmt::format("{}.{} s", ms / 1000, ms % 1000 / 100);
  return fmt::format("{} min {} s", ms / 60000, ms % 60000 / 1000);
}

Printer::Printer(FILE* out, FILE* err)
    : out_(out), err_(err), colour_out_(UsesColour(out)), colour_err_(UsesColour(err)) {}

void Printer::ProcessLine(size_t source, std::string_view name, bool is_stderr,
                          std::string_view line) {
  const char* colour = kColours[source % std::size(kColours)];
  const bool coloured = is_stderr ? colour_err_ : colour_out_;
  Write(is_stderr ? err_ : out_, coloured ? fmt::format("{}[{}]{} {}\n", colour, name, kPlain, line)
                                          : fmt::format("[{}] {}\n", name, line));
}

void Printer::Note(std::string_view message) { Write(err_, fmt::format("kvctl: {}\n", message)); }

void Printer::Error(std::string_view message) {
  Write(err_, colour_err_ ? fmt::format("{}kvctl: {}{}\n", kRed, message, kPlain)
                          : fmt::format("kvctl: {}\n", message));
}

void Printer::Result(std::string_view text) { Write(out_, std::string(text)); }

}  // namespace kvstore
