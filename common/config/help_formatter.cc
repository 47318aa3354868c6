#include "common/config/help_formatter.h"

#include <fmt/format.h>

#include <sstream>
#include <vector>

namespace kvstore {
namespace {

constexpr size_t kColumns = 98;  // of a line of --help

std::vector<std::string> Split(const std::string& text, const std::string& separator) {
  std::vector<std::string> pieces;
  size_t begin = 0;
  for (size_t at = text.find(separator); at != std::string::npos;
       at = text.find(separator, begin)) {
    pieces.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  pieces.push_back(text.substr(begin));
  return pieces;
}

// "a", "a or b", "a, b or c".
std::string Alternatives(const std::vector<std::string>& words) {
  std::string text = words[0];
  for (size_t i = 1; i < words.size(); ++i) {
    text += (i + 1 == words.size() ? " or " : ", ") + words[i];
  }
  return text;
}

// The placeholder and what CLI11's checks say: {"UINT", "UINT in [1 - 64]"}.
std::vector<std::string> TypeAndChecks(const std::string& type_name) {
  constexpr char kAddress[] = "HOST:PORT";
  constexpr size_t kAddressSize = sizeof kAddress - 1;
  if (type_name.rfind(kAddress, 0) != 0) return Split(type_name, ":");
  std::vector<std::string> pieces = {kAddress};
  if (type_name.size() > kAddressSize) {
    for (std::string& check : Split(type_name.substr(kAddressSize + 1), ":")) {
      pieces.push_back(std::move(check));
    }
  }
  return pieces;
}

// One check of CLI11 2.1 in words; one that is not known stays as it is.
std::string CheckInWords(const std::string& check) {
  if (check == "POSITIVE") return "above 0";
  if (check == "NONNEGATIVE") return "0 or more";
  if (check == "SIZE [b, kb(=1000b), kib(=1024b), ...]") return "k is 1000, ki 1024, likewise m, g";
  if (check == "SIZE [b, kb(=1024b), ...]") return "k is 1024, likewise m, g";
  if (check.size() > 2 && check.front() == '{' && check.back() == '}') {
    return Alternatives(Split(check.substr(1, check.size() - 2), ","));
  }
  const size_t range = check.find(" in [");
  if (range != std::string::npos && check.back() == ']') {
    const std::vector<std::string> ends =
        Split(check.substr(range + 5, check.size() - range - 6), " - ");
    if (ends.size() == 2) return ends[0] + " to " + ends[1];
  }
  return check;
}

// CLI11 writes the default of a list as [a,b].
std::string DefaultOf(const CLI::Option& option) {
  std::string text = option.get_default_str();
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  return text;
}

}  // namespace

std::string WrapWords(const std::string& text, size_t columns) {
  std::string result;
  size_t column = 0;
  std::istringstream words(text);
  for (std::string word; words >> word; column += word.size()) {
    if (column != 0 && column + 1 + word.size() > columns) {
      result += '\n';
      column = 0;
    } else if (column != 0) {
      result += ' ';
      ++column;
    }
    result += word;
  }
  return result;
}

std::string ConstraintInWords(const std::string& type_name) {
  const std::vector<std::string> pieces = TypeAndChecks(type_name);
  std::string text;
  for (size_t i = 1; i < pieces.size(); ++i) {
    text += (text.empty() ? "" : "; ") + CheckInWords(pieces[i]);
  }
  return text;
}

std::string Placeholder(const std::string& type_name) {
  const std::string type = TypeAndChecks(type_name)[0];
  if (type == "UINT" || type == "INT") return "N";
  if (type == "FLOAT") return "X";
  return type;
}

std::string HelpFormatter::make_option_name(const CLI::Option* option, bool is_positional) const {
  std::string name = CLI::Formatter::make_option_name(option, is_positional);
  // CLI11 writes what a flag's second name stands for: "--pin,--no-pin{false}".
  const std::string value = "{false}";
  for (size_t at = name.find(value); at != std::string::npos; at = name.find(value)) {
    name.erase(at, value.size());
  }
  return name;
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_type_size() == 0) return "";  // a flag
  std::string text = " " + Placeholder(option->get_type_name());
  if (option->get_expected_max() == CLI::detail::expected_max_vector_size) text += "...";
  return text;
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  std::string text = option->get_description();
  if (option->get_type_size() != 0) {
    std::vector<std::string> notes;
    const std::string constraint = ConstraintInWords(option->get_type_name());
    if (!constraint.empty()) notes.push_back(constraint);
    const std::string by_default = DefaultOf(*option);
    if (!by_default.empty()) notes.push_back("default " + by_default);
    if (option->get_required()) notes.emplace_back("required");
    if (!notes.empty()) text += fmt::format(" ({})", fmt::join(notes, "; "));
  }
  if (!option->get_envname().empty()) text += " [" + option->get_envname() + "]";
  return WrapWords(text, kColumns - column_width_);
}

std::string HelpFormatter::make_description(const CLI::App* app) const {
  std::string text;
  for (const std::string& line : Split(app->get_description(), "\n")) {
    text += (line.size() > kColumns ? WrapWords(line, kColumns) : line) + "\n";
  }
  return text + "\n";
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  std::ostringstream out;
  CLI::detail::format_help(out, command->get_display_name(true),
                           WrapWords(command->get_description(), kColumns - column_width_),
                           column_width_);
  return out.str();
}

}  // namespace kvstore
