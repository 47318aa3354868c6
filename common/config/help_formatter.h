// HelpFormatter: how every program of the project prints --help, in words for people.
//
//   CLI11 by itself                             this
//   -n,--workers UINT:UINT in [1 - 10000]=1     -n,--workers N    workers (1 to 10000; default 1)
//         workers
//   --time-scale FLOAT:POSITIVE=1               --time-scale X    stretch every timer (above 0;
//     (Env:KVSTORE_TIME_SCALE)                                    default 1) [KVSTORE_TIME_SCALE]
//         stretch every timer
//
// A program says `app.formatter(std::make_shared<HelpFormatter>())` before it adds subcommands,
// which inherit it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kvstore {

// The text with line ends between words, so that no line is longer than `columns` (but for a word
// that is). Line ends of `text` count as blanks.
std::string WrapWords(const std::string& text, size_t columns);

// What a value must be, in words, from the type that CLI11 gives to an option and its checks:
// "UINT:UINT in [1 - 64]" is "1 to 64"; empty where any value will do.
std::string ConstraintInWords(const std::string& type_name);
// The placeholder of a value: "N" for whole numbers, "X" for others, the option's own name for it
// if it has one. `type_name` as above; a name of one's own has no colon but in "HOST:PORT".
std::string Placeholder(const std::string& type_name);

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_description(const CLI::App* app) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace kvstore
