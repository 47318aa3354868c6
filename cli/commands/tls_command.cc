// kvctl tls: a small authority, and certificates, for people who have none of their own.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/printer.h"
#include "common/base/status_macros.h"
#include "common/base/whole_file.h"
#include "common/tls/certificate_maker.h"
#include "common/tls/identity.h"
#include "common/tls/tls_files.h"

namespace kvstore {
namespace {

constexpr char kAuthorityKeyFile[] = "ca-key.pem";
constexpr int64_t kDaySeconds = int64_t{24} * 3600;
// Clocks of hosts differ; a certificate is valid as soon as it is made.
constexpr int64_t kClockSeconds = 300;
constexpr size_t kNameBytesMax = 64;  // of a common name, by X.509
constexpr uint32_t kDaysMax = 36500;

struct TlsOptions {
  std::string folder;
  std::string out;
  std::string name;
  std::vector<std::string> roles;
  std::optional<uint32_t> rank;
  std::string node;
  std::vector<std::string> hosts;
  uint32_t days = 0;
  std::string output = "table";
};

int64_t NowSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

CertificateRequest RequestOf(const TlsOptions& options) {
  CertificateRequest request;
  request.name = options.name;
  request.not_before_s = NowSeconds() - kClockSeconds;
  request.not_after_s = NowSeconds() + options.days * kDaySeconds;
  return request;
}

absl::StatusOr<std::string> Read(const std::string& path) {
  std::string text;
  KVS_RETURN_IF_ERROR(ReadWholeFile(path, [&text](size_t bytes) {
    text.resize(bytes);
    return reinterpret_cast<uint8_t*>(text.data());
  }));
  return text;
}

absl::StatusOr<std::string> Init(const TlsOptions& options) {
  const std::string key_path = options.folder + "/" + kAuthorityKeyFile;
  const std::string path = options.folder + "/" + kAuthorityFile;
  for (const std::string& there : {key_path, path}) {
    if (!std::filesystem::exists(std::filesystem::symlink_status(there))) continue;
    return absl::AlreadyExistsError(fmt::format(
        "{} is there already: certificates that it signed would be worth nothing if another took "
        "its place",
        there));
  }
  KVS_ASSIGN_OR_RETURN(const CertificateAndKey authority, MakeAuthority(RequestOf(options)));
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) return SystemError("cannot make", options.folder, error.value());
  KVS_RETURN_IF_ERROR(WriteWholeFile(key_path, {authority.key}, kKeyMode));
  KVS_RETURN_IF_ERROR(WriteWholeFile(path, {authority.certificate}, 0644));
  return fmt::format("{}: the authority '{}'; keep {} where nobody else can read it\n", path,
                     options.name, key_path);
}

absl::StatusOr<std::string> Issue(TlsOptions options) {
  if (options.name.empty()) {
    options.name = std::filesystem::path(options.out).filename().string().substr(0, kNameBytesMax);
  }
  CertificateAndKey authority;
  KVS_ASSIGN_OR_RETURN(authority.certificate, Read(options.folder + "/" + kAuthorityFile));
  KVS_ASSIGN_OR_RETURN(authority.key, Read(options.folder + "/" + kAuthorityKeyFile));
  CertificateRequest request = RequestOf(options);
  for (const std::string& role : options.roles) {
    request.uris.push_back(RoleUri(role, options.rank, options.node));
  }
  request.hosts = options.hosts;
  KVS_ASSIGN_OR_RETURN(const Identity identity, IdentityOf(options.name, request.uris));
  if (options.rank && (identity.roles & kWorkerPeer) == 0) {
    return absl::InvalidArgumentError("--rank: --role worker expected beside it");
  }
  if (!options.node.empty() && (identity.roles & kServerPeer) == 0) {
    return absl::InvalidArgumentError("--node: --role server expected beside it");
  }
  KVS_ASSIGN_OR_RETURN(const CertificateAndKey own, MakeCertificate(authority, request));
  KVS_RETURN_IF_ERROR(WriteTlsFiles(options.out, own, authority.certificate));
  return fmt::format("{}: the certificate of '{}' ({}), valid to {}\n", options.out, options.name,
                     RoleNames(identity.roles), UtcTime(request.not_after_s));
}

absl::StatusOr<std::string> Show(const TlsOptions& options) {
  KVS_ASSIGN_OR_RETURN(const TlsFiles files, ReadTlsFiles(options.folder));
  const absl::Status valid = CheckTlsFiles(options.folder, files);
  const Identity& identity = files.identity;
  if (options.output == "json") {
    nlohmann::ordered_json json;
    json["name"] = identity.name;
    json["roles"] = nlohmann::ordered_json::array();
    for (const char* role : {"worker", "server", "admin", "viewer"}) {
      if ((identity.roles & RoleOf(role)) != 0) json["roles"].push_back(role);
    }
    json["rank"] = nullptr;
    if (identity.worker_rank) json["rank"] = *identity.worker_rank;
    json["node"] = nullptr;
    if (!identity.server_node.empty()) json["node"] = identity.server_node;
    json["issuer"] = files.issuer;
    json["not_before"] = files.not_before_s;
    json["not_after"] = files.not_after_s;
    json["valid"] = valid.ok();
    json["why_not"] = std::string(valid.message());
    // What is no UTF-8 in a name is replaced.
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  std::string text =
      fmt::format("name      {}\nroles     {}\n", identity.name, RoleNames(identity.roles));
  if (identity.worker_rank) text += fmt::format("rank      {}\n", *identity.worker_rank);
  if (!identity.server_node.empty()) text += fmt::format("node      {}\n", identity.server_node);
  text += fmt::format("issuer    {}\nvalid     {} to {}\n", files.issuer,
                      UtcTime(files.not_before_s), UtcTime(files.not_after_s));
  return text + (valid.ok()
                     ? "now       valid\n"
                     : fmt::format("now       not valid: {}\n", std::string(valid.message())));
}

std::string CheckName(const std::string& text) {
  if (text.empty() || text.size() > kNameBytesMax) {
    return fmt::format("1 to {} bytes expected, got {}", kNameBytesMax, text.size());
  }
  return "";
}

std::string CheckNode(const std::string& text) {
  for (const char c : text) {
    const bool known = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '.' || c == '-' || c == '_' || c == ':';
    if (!known) return "a host's name or address expected, got '" + text + "'";
  }
  return CheckName(text);
}

// Adds a verb that runs `run` and prints what it returns.
template <typename Run>
CLI::App* AddVerb(CLI::App* command, CommandContext* context,
                  const std::shared_ptr<TlsOptions>& options, const char* name, const char* what,
                  const Run& run) {
  CLI::App* verb = command->add_subcommand(name, what);
  verb->callback([context, options, run] {
    const absl::StatusOr<std::string> text = run(*options);
    if (text.ok()) {
      context->printer->Result(*text);
      return;
    }
    context->printer->Error(std::string(text.status().message()));
    context->exit_code = absl::IsInvalidArgument(text.status()) ? kExitUsage : kExitFailed;
  });
  return verb;
}

void AddDays(CLI::App* verb, TlsOptions* options, const char* what, uint32_t days) {
  verb->add_option("--days", options->days, what)
      ->check(CLI::Range(1u, kDaysMax))
      ->default_val(days);
}

}  // namespace

void AddTlsCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command =
      app.add_subcommand("tls", "makes and shows the certificates of a cluster with TLS");
  command->require_subcommand(1);

  const auto of_init = std::make_shared<TlsOptions>();
  CLI::App* init = AddVerb(command, &context, of_init, "init",
                           "makes an authority: ca.pem and ca-key.pem of a folder", &Init);
  init->add_option("folder", of_init->folder, "where to")->type_name("DIR")->required();
  init->add_option("--name", of_init->name, "the authority's name")
      ->type_name("NAME")
      ->default_val("kvstore authority")
      ->check(&CheckName);
  AddDays(init, of_init.get(), "how long it is valid", 3650);

  const auto of_issue = std::make_shared<TlsOptions>();
  CLI::App* issue =
      AddVerb(command, &context, of_issue, "issue",
              "makes a certificate that the authority signs, for --tls-dir of a process", &Issue);
  issue->add_option("folder", of_issue->folder, "of the authority")->type_name("DIR")->required();
  issue->add_option("out", of_issue->out, "where to: cert.pem, key.pem and ca.pem are written")
      ->type_name("OUT")
      ->required();
  issue->add_option("--role", of_issue->roles, "what it lets a process be; may be repeated")
      ->type_name("ROLE")
      ->check(CLI::IsMember({"worker", "server", "admin", "viewer"}))
      ->required();
  issue->add_option("--name", of_issue->name, "whose it is, for messages; default: OUT")
      ->type_name("NAME")
      ->check(&CheckName);
  issue->add_option("--rank", of_issue->rank, "only for the worker of this rank");
  issue->add_option("--node", of_issue->node, "only for a server that advertises this host")
      ->type_name("HOST")
      ->check(&CheckNode);
  issue
      ->add_option("--host", of_issue->hosts,
                   "a name or address of its host, for clients other than ours; may be repeated")
      ->type_name("HOST")
      ->check(&CheckNode);
  AddDays(issue, of_issue.get(), "how long it is valid", 90);

  const auto of_show = std::make_shared<TlsOptions>();
  CLI::App* show =
      AddVerb(command, &context, of_show, "show",
              "whose certificate a folder has, what it is for, and whether it is valid", &Show);
  show->add_option("folder", of_show->folder, "what --tls-dir names")->type_name("DIR")->required();
  AddFormatOption(*show, &of_show->output);
}

}  // namespace kvstore
