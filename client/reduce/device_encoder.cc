#include "client/reduce/device_encoder.h"

#include <algorithm>
#include <new>

#include "client/reduce/taken_blocks.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"

namespace kvstore {

absl::StatusOr<std::shared_ptr<void>> DeviceSpares::Take(const DeviceLibrary& library, int gpu,
                                                         size_t bytes) {
  {
    MutexLock lock(mutex_);
    const auto found = spares_.find({gpu, bytes});
    if (found != spares_.end() && !found->second.empty()) {
      std::shared_ptr<void> spare = std::move(found->second.back());
      found->second.pop_back();
      return spare;
    }
  }
  return library.Allocate(gpu, bytes);
}

void DeviceSpares::Give(int gpu, size_t bytes, std::shared_ptr<void> spare) noexcept {
  try {
    MutexLock lock(mutex_);
    spares_[{gpu, bytes}].push_back(std::move(spare));
  } catch (const std::bad_alloc&) {
  }
}

DeviceEncoder::DeviceEncoder(const BitCode& code, DType dtype, uint64_t bytes, DeviceSpares* spares)
    : code_(code), dtype_(dtype), bytes_(bytes), spares_(spares) {}

bool DeviceEncoder::Takes(absl::Span<const NDArray> values) {
  return AnyOnDevice(values) && std::all_of(values.begin(), values.end(), [](const NDArray& value) {
           return value.storage_type() == StorageType::kDefault;
         });
}

absl::StatusOr<std::vector<MutableBufferPtr>> DeviceEncoder::Encode(
    absl::Span<const NDArray> values, const Buffer* on_host, BlockThreads& threads) {
  GiveBack(&next_);  // of a push that was not accepted
  const std::vector<int> gpus = GpusOf(values);
  std::vector<MutableBufferPtr> encoded(PartCount(bytes_));
  for (PartIndex part = 0; part < encoded.size(); ++part) {
    encoded[part] = std::make_shared<Buffer>(code_.EncodedBytes(ElementsOf(part)));
  }
  next_.resize(encoded.size());
  KVS_RETURN_IF_ERROR(threads.Run(encoded.size(), [&](size_t block, size_t) {
    const auto part = static_cast<PartIndex>(block);
    return EncodePart(part, values, gpus[part % gpus.size()], on_host, encoded[part].get());
  }));
  return encoded;
}

absl::Status DeviceEncoder::EncodePart(PartIndex part, absl::Span<const NDArray> values, int gpu,
                                       const Buffer* on_host, Buffer* encoded) {
  const size_t elements = ElementsOf(part);
  const size_t bytes = PartBytes(bytes_, part);
  const Context here = Context::Gpu(gpu);
  KVS_ASSIGN_OR_RETURN(const DeviceLibrary* const library, DeviceLibrary::For(here));
  Taken blocks(&spares_->blocks(), *library);
  // What this GPU has not is copied to it.
  const auto brought = [&](Context context, const void* from,
                           size_t size) -> absl::StatusOr<const void*> {
    if (OnDevice(context) && context.index == gpu) return from;
    KVS_ASSIGN_OR_RETURN(void* const copy, blocks.Take(gpu));
    KVS_RETURN_IF_ERROR(library->Copy({here, copy}, {context, from}, size));
    return copy;
  };
  std::vector<const void*> sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) {
    KVS_ASSIGN_OR_RETURN(
        const void* const source,
        brought(value.context(), value.data_as<uint8_t>() + PartOffset(part), bytes));
    sources.push_back(source);
  }
  if (sources.size() > library->encoded_max()) {  // summed first, then encoded
    KVS_ASSIGN_OR_RETURN(void* sum, blocks.Take(gpu));
    KVS_RETURN_IF_ERROR(library->Fold(gpu, dtype_, sources, elements, /*rounded=*/false, sum));
    if (AccumulatorOf(dtype_) != dtype_) {
      KVS_ASSIGN_OR_RETURN(void* const rounded, blocks.Take(gpu));
      KVS_RETURN_IF_ERROR(library->Narrow(gpu, dtype_, sum, elements, rounded));
      sum = rounded;
    }
    sources = {sum};
  }
  kvstore_device_encoding as{};
  as.bits = code_.bits;
  as.threshold = code_.threshold;
  if (holds()) {
    KVS_ASSIGN_OR_RETURN(as.before, brought(Context::Gpu(parts_[part].gpu), parts_[part].at.get(),
                                            LeftOverBytes(part)));
  } else if (on_host != nullptr) {
    KVS_ASSIGN_OR_RETURN(
        as.before, brought(Context(), on_host->data() + LeftOverOffset(part), LeftOverBytes(part)));
  }
  KVS_ASSIGN_OR_RETURN(next_[part].at, spares_->Take(*library, gpu, LeftOverBytes(part)));
  next_[part].gpu = gpu;
  as.left_over = next_[part].at.get();
  KVS_ASSIGN_OR_RETURN(as.encoded, blocks.Take(gpu));
  KVS_RETURN_IF_ERROR(library->Encode(gpu, dtype_, sources, elements, as));
  return library->Copy({Context(), encoded->data()}, {here, as.encoded}, encoded->size());
}

void DeviceEncoder::Accept() noexcept {
  parts_.swap(next_);
  GiveBack(&next_);
}

absl::StatusOr<MutableBufferPtr> DeviceEncoder::ToHost() const {
  auto left_over =
      std::make_shared<Buffer>(bytes_ / DTypeBytes(dtype_) * DTypeBytes(AccumulatorOf(dtype_)));
  for (PartIndex part = 0; part < parts_.size(); ++part) {
    KVS_RETURN_IF_ERROR(CopyBytes({Context(), left_over->data() + LeftOverOffset(part)},
                                  {Context::Gpu(parts_[part].gpu), parts_[part].at.get()},
                                  LeftOverBytes(part)));
  }
  return left_over;
}

void DeviceEncoder::Forget() noexcept {
  GiveBack(&parts_);
  GiveBack(&next_);
}

void DeviceEncoder::GiveBack(std::vector<Part>* parts) noexcept {
  for (PartIndex part = 0; part < parts->size(); ++part) {
    Part& each = (*parts)[part];
    if (each.at != nullptr) spares_->Give(each.gpu, LeftOverBytes(part), std::move(each.at));
  }
  parts->clear();
}

}  // namespace kvstore
