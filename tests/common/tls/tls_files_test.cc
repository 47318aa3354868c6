// The three files of a process: what is taken, and the error of each that is not.
#include "common/tls/tls_files.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/tls_folders.h"

namespace kvstore::testing {
namespace {

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The status of reading the folder and, if it can be read, of looking whether it is valid now.
absl::Status Verdict(const std::string& folder) {
  const auto files = ReadTlsFiles(folder);
  return files.ok() ? CheckTlsFiles(folder, *files) : files.status();
}

#define CHECK_VERDICT(folder, expected_code, text)                     \
  do {                                                                 \
    const absl::Status verdict = Verdict(folder);                      \
    CHECK(verdict.code() == absl::StatusCode::expected_code);          \
    CHECK_THAT(std::string(verdict.message()), Catch::Contains(text)); \
  } while (false)

TEST_CASE("what an authority signed is read with its identity and its dates", "[tls]") {
  const TlsFolders folders;
  const CertificateRequest request = RequestFor("worker three", {"kvstore://worker/rank/3"});
  const std::string folder = folders.Write("w3", request);
  const auto files = ReadTlsFiles(folder);
  REQUIRE(files.ok());
  CHECK(files->identity.name == "worker three");
  CHECK(files->identity.worker_rank == 3u);
  CHECK(files->issuer == "test authority");
  CHECK(files->not_before_s == request.not_before_s);
  CHECK(files->not_after_s == request.not_after_s);
  CHECK(CheckTlsFiles(folder, *files).ok());
  struct stat key = {};
  REQUIRE(::stat((folder + "/key.pem").c_str(), &key) == 0);
  CHECK((key.st_mode & 0777) == 0600);
}

TEST_CASE("each file that is missing is named", "[tls]") {
  const TlsFolders folders;
  CHECK_VERDICT(folders.Path("nowhere"), kNotFound, "nowhere/cert.pem");
  for (const std::string file : {"cert.pem", "key.pem", "ca.pem"}) {
    const std::string folder = folders.For("without-" + file, {"server"});
    std::filesystem::remove(folder + "/" + file);
    CHECK_VERDICT(folder, kNotFound, folder + "/" + file);
    std::filesystem::create_directory(folder + "/" + file);
    CHECK(Verdict(folder).code() == absl::StatusCode::kFailedPrecondition);
    CHECK_THAT(std::string(Verdict(folder).message()), Catch::Contains(folder + "/" + file));
  }
}

TEST_CASE("a file that is cut off, empty, binary or something else is named", "[tls]") {
  const TlsFolders folders;
  for (const std::string file : {"cert.pem", "key.pem", "ca.pem"}) {
    const std::string folder = folders.For("broken-" + file, {"server"});
    const std::string path = folder + "/" + file;
    const std::string whole = ReadText(path);
    const std::string other = ReadText(folder + (file == "key.pem" ? "/cert.pem" : "/key.pem"));
    for (const std::string& text : std::vector<std::string>{
             std::string(), whole.substr(0, whole.size() / 2), std::string("\0\xff\x80", 3), other,
             "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n"}) {
      CAPTURE(file, text);
      WriteText(path, text);
      CHECK_VERDICT(folder, kInvalidArgument, path + ": a ");
    }
    WriteText(path, std::string((1 << 20) + 1, 'x'));
    CHECK_VERDICT(folder, kInvalidArgument, "at most 1048576 bytes expected, it has 1048577");
  }
}

TEST_CASE("a key of another certificate is refused", "[tls]") {
  const TlsFolders folders;
  const std::string folder = folders.For("a", {"server"});
  std::filesystem::copy_file(folders.For("b", {"server"}) + "/key.pem", folder + "/key.pem",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_VERDICT(folder, kInvalidArgument, "the key of " + folder + "/cert.pem expected");
}

TEST_CASE("a key that others may read, or the group may write, is refused", "[tls]") {
  const TlsFolders folders;
  const std::string folder = folders.For("a", {"server"});
  const std::string key = folder + "/key.pem";
  for (const unsigned mode : {0644u, 0604u, 0666u, 0660u, 0602u, 0601u}) {
    CAPTURE(mode);
    REQUIRE(::chmod(key.c_str(), mode) == 0);
    CHECK_VERDICT(folder, kPermissionDenied, "mode 0600 or 0640 expected");
  }
  for (const unsigned mode : {0600u, 0400u, 0640u, 0440u}) {
    CAPTURE(mode);
    REQUIRE(::chmod(key.c_str(), mode) == 0);
    CHECK(Verdict(folder).ok());
  }
}

TEST_CASE("a certificate that is over, has not begun, or somebody else signed is not valid",
          "[tls]") {
  const TlsFolders folders;
  CertificateRequest request = RequestFor("late", {"kvstore://server"});
  request.not_before_s = UnixSeconds() - 7200;
  request.not_after_s = UnixSeconds() - 3600;
  CHECK_VERDICT(folders.Write("late", request), kFailedPrecondition, "certificate has expired");
  request = RequestFor("early", {"kvstore://server"});
  request.not_before_s = UnixSeconds() + 1800;
  CHECK_VERDICT(folders.Write("early", request), kFailedPrecondition,
                "certificate is not yet valid");
  CHECK_VERDICT(folders.Path("early"), kFailedPrecondition, UtcTime(request.not_before_s));

  // Of an authority that has the same name, and another key.
  const TlsFolders others;
  const std::string folder = folders.For("a", {"server"});
  WriteText(folder + "/ca.pem", others.authority().certificate);
  CHECK(Verdict(folder).code() == absl::StatusCode::kFailedPrecondition);
  // While one authority takes over from another both are trusted.
  WriteText(folder + "/ca.pem", others.authority().certificate + folders.authority().certificate);
  CHECK(Verdict(folder).ok());
}

TEST_CASE("a certificate without a role of a cluster is refused", "[tls]") {
  const TlsFolders folders;
  CHECK_VERDICT(folders.Write("a", RequestFor("a", {})), kUnauthenticated, "kvstore://worker");
  CHECK_VERDICT(folders.Write("b", RequestFor("b", {"https://b"})), kUnauthenticated, "https://b");
}

TEST_CASE("an authority whose certificate and key are not of each other signs nothing", "[tls]") {
  const TlsFolders one;
  const TlsFolders two;
  const CertificateRequest request = RequestFor("a", {"kvstore://server"});
  for (const CertificateAndKey& authority :
       {CertificateAndKey{one.authority().certificate, two.authority().key},
        CertificateAndKey{"", one.authority().key},
        CertificateAndKey{one.authority().certificate, "x"}}) {
    CHECK(MakeCertificate(authority, request).status().code() ==
          absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("times are told in UTC", "[tls]") {
  CHECK(UtcTime(0) == "1970-01-01 00:00:00 UTC");
  CHECK(UtcTime(1796041845) == "2026-11-30 12:30:45 UTC");
}

}  // namespace
}  // namespace kvstore::testing
