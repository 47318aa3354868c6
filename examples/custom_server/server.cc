// A server with an updater of its own: signSGD by majority vote (Bernstein et al., "signSGD with
// Majority Vote is Communication Efficient and Fault Tolerant", 2018). Workers push votes of +1 and
// -1; every element of the weight takes one step against the sign of their sum. Command 6 changes
// the length of the step while training goes on.
//
//   kvctl run -n 3 -s 2 --server-program custom_server -- custom_worker
#include <kvstore/kvstore.h>

#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace {

constexpr int kSetStep = 6;

// Updater and controller never run at once, so they need no lock for what they share.
class MajorityVote {
 public:
  void Update(const kvstore::NDArray& votes, kvstore::NDArray* weight) const {
    const float* sum = votes.data_as<float>();
    float* value = weight->data_as<float>();
    for (int64_t i = 0; i < weight->size(); ++i) {
      if (sum[i] != 0) value[i] -= std::copysign(step_, sum[i]);
    }
  }
  void Control(int command, const std::string& body) {
    if (command != kSetStep) throw std::invalid_argument("command 6 expected: the step");
    const float step = std::stof(body);
    if (!(step > 0)) throw std::invalid_argument("a step above 0 expected, got " + body);
    step_ = step;
    std::printf("step %g\n", static_cast<double>(step_));
    std::fflush(stdout);
  }

 private:
  float step_ = 0.25F;
};

}  // namespace

int main() {
  try {
    MajorityVote vote;
    const auto store = kvstore::KVStore::CreateUnique("dist_sync");
    store->set_updater(kvstore::KVStore::StrUpdater(
        [&](const std::string&, const kvstore::NDArray& votes, kvstore::NDArray* weight) {
          vote.Update(votes, weight);
        }));
    store->RunServer([&](int command, const std::string& body) { vote.Control(command, body); });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "custom_server: %s\n", error.what());
    return 1;
  }
  return 0;
}
