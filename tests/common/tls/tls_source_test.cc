// Files that are replaced while a process runs.
#include "common/tls/tls_source.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/tls_folders.h"

namespace kvstore::testing {
namespace {

constexpr std::chrono::seconds kPatience{20};

// Keeps what a source told.
class Listener {
 public:
  explicit Listener(TlsSource* source) : source_(source) {
    source_->SetListener([this](const TlsFiles& files) {
      MutexLock lock(mutex_);
      names_.push_back(files.identity.name);
      told_.NotifyAll();
    });
  }
  ~Listener() { source_->SetListener(nullptr); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  bool Await(const std::string& name) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    MutexLock lock(mutex_);
    while (names_.empty() || names_.back() != name) {
      if (!told_.WaitUntil(mutex_, deadline)) return false;
    }
    return true;
  }
  std::vector<std::string> names() {
    MutexLock lock(mutex_);
    return names_;
  }

 private:
  TlsSource* const source_;
  Mutex mutex_;
  CondVar told_;
  std::vector<std::string> names_ KVS_GUARDED_BY(mutex_);
};

// Waits for lines of the log; in the place of the default logger while it lives.
class LogLines {
 public:
  LogLines() : before_(spdlog::default_logger()), lines_(std::make_shared<Lines>()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", lines_));
  }
  ~LogLines() { spdlog::set_default_logger(before_); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  // The first line with `text`; empty if none comes.
  std::string Await(const std::string& text) { return lines_->Await(text); }

 private:
  class Lines final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
   public:
    std::string Await(const std::string& text) {
      const auto deadline = std::chrono::steady_clock::now() + kPatience;
      MutexLock lock(mutex_);
      while (true) {
        for (const std::string& line : lines_) {
          if (line.find(text) != std::string::npos) return line;
        }
        if (!came_.WaitUntil(mutex_, deadline)) return "";
      }
    }

   protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
      MutexLock lock(mutex_);
      lines_.emplace_back(message.payload.data(), message.payload.size());
      came_.NotifyAll();
    }
    void flush_() override {}

   private:
    Mutex mutex_;
    CondVar came_;
    std::vector<std::string> lines_ KVS_GUARDED_BY(mutex_);
  };
  const std::shared_ptr<spdlog::logger> before_;
  const std::shared_ptr<Lines> lines_;
};

TEST_CASE("without a folder there is no TLS, and a wrong one is an error at once", "[tls]") {
  CHECK(*TlsSource::Open("") == nullptr);
  const TlsFolders folders;
  CHECK(TlsSource::Open(folders.Path("nowhere")).status().code() == absl::StatusCode::kNotFound);
  CertificateRequest late = RequestFor("late", {"kvstore://server"});
  late.not_after_s = UnixSeconds() - 10;
  CHECK(TlsSource::Open(folders.Write("late", late)).status().code() ==
        absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("new files are taken, wrong ones are not, and the right ones after them are", "[tls]") {
  const TlsFolders folders;
  const std::string folder = folders.For("a", {"server"});
  LogLines log;
  auto source = TlsSource::Open(folder);
  REQUIRE(source.ok());
  Listener listener(source->get());
  CHECK(listener.names() == std::vector<std::string>{"a"});

  folders.Write("a", RequestFor("second", {"kvstore://server", "kvstore://admin"}));
  REQUIRE(listener.Await("second"));
  CHECK((*source)->Current()->identity.roles == (kServerPeer | kAdminPeer));
  CHECK_THAT(log.Await("new TLS files: "), Catch::Contains("'second' (server, admin) is valid to"));

  // A key alone is none of the certificate's.
  const CertificateAndKey third = folders.Sign(RequestFor("third", {"kvstore://server"}));
  std::ofstream(folder + "/key.pem", std::ios::trunc) << third.key;
  CHECK_THAT(log.Await("stay in force"), Catch::Contains(folder + "/key.pem"));
  CHECK((*source)->Current()->identity.name == "second");
  std::ofstream(folder + "/cert.pem", std::ios::trunc) << third.certificate;
  REQUIRE(listener.Await("third"));
  CHECK(listener.names() == std::vector<std::string>{"a", "second", "third"});
}

TEST_CASE("a link to a folder of files may be turned to another one", "[tls]") {
  const TlsFolders folders;
  const std::string link = folders.Path("now");
  std::filesystem::create_directory_symlink(folders.For("one", {"server"}), link);
  auto source = TlsSource::Open(link);
  REQUIRE(source.ok());
  Listener listener(source->get());
  std::filesystem::create_directory_symlink(folders.For("two", {"server"}), link + ".new");
  std::filesystem::rename(link + ".new", link);
  REQUIRE(listener.Await("two"));
}

}  // namespace
}  // namespace kvstore::testing
