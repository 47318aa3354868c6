#include "client/dist/job_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/dist/any_cut.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/key_spec.h"
#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"
#include "common/transport/methods.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {
namespace {

// A key, and how many of its parts were found.
struct Found {
  ValueSpec spec;
  uint64_t parts = 0;
};
using FoundKeys = std::map<KeyPlace, Found>;

// What comes from the network is not trusted to make sense.
absl::StatusOr<ValueSpec> SpecOf(const v1::KeyStats& key) {
  ValueSpec spec;
  spec.known = true;
  spec.dtype = static_cast<DType>(key.dtype());
  const Shape shape(key.shape().begin(), key.shape().end());
  spec.row_sparse = key.storage() == v1::STORAGE_ROW_SPARSE;
  const absl::StatusOr<int64_t> elements =
      spec.row_sparse ? RowSparseElementCount(shape) : ElementCount(shape);
  if (!elements.ok() || DTypeBytes(spec.dtype) == 0 || (spec.row_sparse && shape.empty())) {
    return absl::InternalError(
        fmt::format("{}: an array expected, it describes dtype {}, shape {}, storage {}",
                    KeyLabel(key.key(), key.name()), static_cast<uint32_t>(key.dtype()),
                    ShapeString(shape), static_cast<uint32_t>(key.storage())));
  }
  spec.shape = shape;
  spec.bytes = static_cast<uint64_t>(*elements) * DTypeBytes(spec.dtype);
  return spec;
}

// One page of one server, and what is to be asked next.
class Page {
 public:
  explicit Page(const std::string& prefix) {
    asked_.set_prefix(prefix);
    asked_.set_without_figures(true);
  }

  std::string Question() const { return asked_.SerializeAsString(); }
  // Takes the answer. True if there is more to be asked. UNAVAILABLE: it is of another job.
  absl::StatusOr<bool> Take(const std::string& answer, JobId job, FoundKeys* found) {
    v1::ServerKeyStats page;
    if (!page.ParseFromString(answer)) {
      return absl::InternalError("a kvstore.v1.ServerKeyStats expected, it sent other bytes");
    }
    if (page.job() != job) {
      return absl::UnavailableError(
          fmt::format("the keys of job {} expected, it has those of job {}", job, page.job()));
    }
    for (const v1::KeyStats& key : page.keys()) {
      const KeyPlace place{key.key(), key.name()};
      const KeyPlace after{asked_.after().key(), asked_.after().name()};
      if (asked_.has_after() && !(after < place)) {
        return absl::InternalError(fmt::format("a key behind {} expected, it sent {}",
                                               KeyLabel(after.key, after.name),
                                               KeyLabel(place.key, place.name)));
      }
      KVS_ASSIGN_OR_RETURN(ValueSpec spec, SpecOf(key));
      asked_.mutable_after()->set_key(place.key);
      asked_.mutable_after()->set_name(place.name);
      Found& at = (*found)[place];
      at.spec = std::move(spec);
      at.parts += key.parts();
    }
    return page.keys_size() > 0 && page.keys_total() > static_cast<uint64_t>(page.keys_size());
  }

 private:
  v1::KeyStatsRequest asked_;
};

std::vector<KeyInfo> WholeKeys(const FoundKeys& found) {
  std::vector<KeyInfo> keys;
  for (const auto& [place, key] : found) {
    if (key.parts < AnyCut(key.spec)->parts()) continue;
    keys.push_back(
        {place.name.empty() ? std::to_string(static_cast<int64_t>(place.key)) : place.name,
         ToDataType(key.spec.dtype), key.spec.shape,
         key.spec.row_sparse ? StorageType::kRowSparse : StorageType::kDefault});
  }
  return keys;
}

bool MayComeRight(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

absl::StatusOr<std::vector<KeyInfo>> KeysOfJob(Transport& transport, const KeysQuestion& question,
                                               const RoutingAfter& routing) {
  const int64_t deadline_ms = SteadyNowMs() + question.timeout_ms;
  KVS_ASSIGN_OR_RETURN(RoutingPtr table, routing(0));
  FoundKeys found;
  ServerRank rank = 0;
  Page page(question.prefix);
  int64_t try_ms = question.try_ms;
  absl::Status trouble;  // with the server that is asked, so far
  while (rank < table->servers.size()) {
    const std::string server = table->ServerName(rank);
    const int64_t left_ms = deadline_ms - SteadyNowMs();
    if (left_ms > 0) {
      const absl::StatusOr<std::string> answer =
          transport.CallUnary(table->servers[rank].address, kKeyStatsMethod, page.Question(),
                              std::min(left_ms, try_ms));
      const absl::StatusOr<bool> more =
          answer.ok() ? page.Take(*answer, table->job, &found) : answer.status();
      if (more.ok()) {
        trouble = absl::OkStatus();
        try_ms = question.try_ms;
        if (*more) continue;
        ++rank;
        page = Page(question.prefix);
        continue;
      }
      const absl::Status& failed = more.status();
      if (!MayComeRight(failed)) {
        return absl::Status(failed.code(),
                            fmt::format("Keys: {}: {}", server, std::string(failed.message())));
      }
      // A try that had no time left would hide what an earlier one said.
      if (trouble.ok() || absl::IsUnavailable(failed)) trouble = failed;
    }
    // The job's end says more than that one of its servers is gone.
    const RoutingPtr before = table;
    KVS_ASSIGN_OR_RETURN(table, routing(std::clamp<int64_t>(left_ms, 0, question.pause_ms)));
    if (SteadyNowMs() >= deadline_ms) {
      return absl::DeadlineExceededError(fmt::format(
          "Keys is not done after {} ms: it waits for {}: {}", question.timeout_ms, server,
          trouble.ok() ? "it was not asked yet" : std::string(trouble.message())));
    }
    try_ms = std::min(2 * try_ms, question.timeout_ms);
    if (table->epoch == before->epoch) continue;
    found.clear();  // other servers
    rank = 0;
    trouble = absl::OkStatus();
    page = Page(question.prefix);
  }
  return WholeKeys(found);
}

}  // namespace kvstore
