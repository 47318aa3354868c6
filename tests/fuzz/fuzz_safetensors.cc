// libFuzzer target: any bytes as a safetensors file, and as a file of optimizer states.
//
// What must hold: nothing crashes; a refusal has one of the codes that the headers promise and a
// message of printable ASCII; what is read is written to a file that is read as the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "client/store/states_file.h"
#include "common/base/check.h"
#include "common/safetensors/safetensors.h"

namespace kvstore {
namespace {

void CheckRefusal(const absl::Status& status) {
  KVS_CHECK(status.code() == absl::StatusCode::kDataLoss ||
            status.code() == absl::StatusCode::kFailedPrecondition);
  KVS_CHECK(!status.message().empty());
}

void CheckSame(const SafeTensors& file) {
  const absl::StatusOr<Payload> bytes = EncodeSafetensors(file);
  KVS_CHECK(bytes.ok());
  const absl::StatusOr<SafeTensors> again = DecodeSafetensors(*bytes);
  KVS_CHECK(again.ok() && again->metadata == file.metadata);
  KVS_CHECK(again->tensors.size() == file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    const SafeTensor& same = again->tensors.at(name);
    KVS_CHECK(same.dtype == tensor.dtype && same.shape == tensor.shape);
    KVS_CHECK(same.data.ToString() == tensor.data.ToString());
  }
}

}  // namespace
}  // namespace kvstore

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const kvstore::Payload payload = kvstore::Payload::CopyOf(bytes);
  const auto file = kvstore::DecodeSafetensors(payload);
  if (file.ok()) {
    kvstore::CheckSame(*file);
  } else {
    kvstore::CheckRefusal(file.status());
  }
  const auto states = kvstore::DecodeStates(payload);
  if (!states.ok()) kvstore::CheckRefusal(states.status());
  return 0;
}
