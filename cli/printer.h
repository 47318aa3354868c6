// Printer: how kvctl shows things: lines of processes with a prefix, its own messages, tables.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore {

// Columns as wide as their widest cell, left-aligned, two blanks between them.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void AddRow(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "350 ms", "4.2 s", "3 min 20 s".
std::string DurationText(uint64_t ms);

// Colours are used on a terminal only, and never when NO_COLOR is set.
class Printer {
 public:
  Printer(FILE* out, FILE* err);

  // "[worker 0] line", to stdout or stderr. `source` numbers the processes: each has a colour.
  void ProcessLine(size_t source, std::string_view name, bool is_stderr, std::string_view line);
  // kvctl's own words, to stderr: "kvctl: message".
  void Note(std::string_view message);
  void Error(std::string_view message);
  // Results, to stdout.
  void Result(std::string_view text);

 private:
  FILE* const out_;
  FILE* const err_;
  const bool colour_out_;
  const bool colour_err_;
};

}  // namespace kvstore
