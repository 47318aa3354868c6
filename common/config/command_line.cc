#include "common/config/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "common/config/help_formatter.h"

namespace kvstore {
namespace {

std::string HelpOf(const SettingSpec& spec) {
  std::string help = spec.help;
  if (spec.form.kind == SettingForm::kWord) {
    help += fmt::format(": {}", fmt::join(spec.form.words, ", "));
  }
  if (!spec.default_text.empty() && spec.form.kind != SettingForm::kSwitch) {
    help += fmt::format("; default {}", spec.default_text);
  }
  std::vector<std::string> variables;
  for (const SettingVariable& variable : spec.variables) {
    std::string name = variable.name;
    if (variable.form == VariableForm::kSeconds) name += " in seconds";
    if (!variable.partner.empty()) name += " with " + variable.partner;
    variables.push_back(std::move(name));
  }
  return fmt::format("{} [{}]", help, fmt::join(variables, ", "));
}

void AddFlag(CLI::App* app, const SettingSpec& spec, std::map<std::string, std::string>* flags) {
  const std::string flag = "--" + spec.name;
  if (spec.form.kind == SettingForm::kSwitch) {
    app->add_flag_callback(
           flag, [flags, name = spec.name] { (*flags)[name] = "true"; }, HelpOf(spec))
        ->group(spec.group);
    return;
  }
  app->add_option_function<std::string>(
         flag, [flags, name = spec.name](const std::string& text) { (*flags)[name] = text; },
         HelpOf(spec))
      ->type_name(spec.value_name)
      ->group(spec.group);
}

}  // namespace

CommandLineResult ReadCommandLine(Programs program, const CommandLineTexts& texts,
                                  std::vector<std::string> arguments) {
  CLI::App app(texts.about, texts.name);
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", texts.version);
  app.footer(texts.footer);
  CommandLine line;
  for (const SettingSpec& spec : SettingTable()) {
    if ((spec.programs & program) != 0) AddFlag(&app, spec, &line.flags);
  }
  app.add_flag("--print-config", line.print_config,
               "print every setting, as it holds and with where it came from, in the format "
               "of --config, and end")
      ->group("Options");
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return {std::nullopt, 0, app.help()};
  } catch (const CLI::CallForVersion&) {
    return {std::nullopt, 0, fmt::format("{} {}\n", texts.name, texts.version)};
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, kExitWrongSettings,
            fmt::format("{}: {} (--help lists the flags)\n", texts.name, error.what())};
  }
  return {std::move(line), 0, ""};
}

}  // namespace kvstore
