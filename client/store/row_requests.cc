#include "client/store/row_requests.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "common/rows/row_bytes.h"
#include "common/wire/byte_counts.h"

namespace kvstore {
namespace {

static_assert(kPartBytesMax / sizeof(int64_t) <= kRowsPerEntryMax, "bytes are the only limit");

// Places in a list of rows, grouped by stripe: those of stripe s are order[begin[s] .. begin[s+1]).
struct ByStripe {
  std::vector<size_t> order;
  std::vector<size_t> begin;
};

// A counting sort, which keeps the order within a stripe.
ByStripe GroupByStripe(const RowShape& shape, const int64_t* ids, size_t count) {
  ByStripe groups;
  groups.begin.resize(shape.stripes + 1);
  for (size_t i = 0; i < count; ++i) ++groups.begin[shape.StripeOf(ids[i]) + 1];
  for (PartIndex s = 0; s < shape.stripes; ++s) groups.begin[s + 1] += groups.begin[s];
  groups.order.resize(count);
  std::vector<size_t> next = groups.begin;
  for (size_t i = 0; i < count; ++i) groups.order[next[shape.StripeOf(ids[i])]++] = i;
  return groups;
}

// Calls piece(begin, end, number, pieces) for each run of at most `most` of `count` things; once
// for none of them.
template <typename Piece>
void InPieces(size_t count, size_t most, const Piece& piece) {
  const size_t pieces = std::max<size_t>(1, (count + most - 1) / most);
  for (size_t i = 0; i < pieces; ++i) {
    piece(i * most, std::min(count, (i + 1) * most), static_cast<uint32_t>(i),
          static_cast<uint32_t>(pieces));
  }
}

uint8_t* CopyIds(const int64_t* ids, const size_t* places, size_t count, uint8_t* to) {
  for (size_t i = 0; i < count; ++i, to += sizeof(int64_t)) {
    std::memcpy(to, &ids[places[i]], sizeof(int64_t));
  }
  return to;
}

}  // namespace

std::vector<RowFragment> CutRows(const RowShape& shape, const Rows& rows) {
  const size_t entry_bytes = sizeof(int64_t) + shape.row_bytes;
  const ByStripe groups = GroupByStripe(shape, rows.ids, rows.count);
  std::vector<RowFragment> cut;
  for (PartIndex stripe = 0; stripe < shape.stripes; ++stripe) {
    const size_t* const places = groups.order.data() + groups.begin[stripe];
    const size_t in_stripe = groups.begin[stripe + 1] - groups.begin[stripe];
    InPieces(in_stripe, kPartBytesMax / entry_bytes,
             [&](size_t begin, size_t end, uint32_t number, uint32_t pieces) {
               RowFragment& fragment = cut.emplace_back();
               fragment.stripe = stripe;
               fragment.rows = static_cast<uint32_t>(end - begin);
               fragment.fragment = number;
               fragment.fragments = pieces;
               if (begin == end) return;
               const auto data = std::make_shared<Buffer>((end - begin) * entry_bytes);
               uint8_t* to = CopyIds(rows.ids, places + begin, end - begin, data->data());
               ForRowBytes(shape.row_bytes, [&](auto bytes) {
                 for (size_t i = begin; i < end; ++i, to += bytes) {
                   std::memcpy(to, rows.data + places[i] * bytes, bytes);
                 }
               });
               CountCopiedBytes(data->size());
               fragment.data = data;
             });
  }
  return cut;
}

std::vector<RowQuestion> CutIds(const RowShape& shape, const std::vector<int64_t>& ids) {
  const ByStripe groups = GroupByStripe(shape, ids.data(), ids.size());
  const size_t most = kPartBytesMax / std::max(sizeof(int64_t), shape.row_bytes);
  std::vector<RowQuestion> cut;
  for (PartIndex stripe = 0; stripe < shape.stripes; ++stripe) {
    const size_t* const places = groups.order.data() + groups.begin[stripe];
    const size_t in_stripe = groups.begin[stripe + 1] - groups.begin[stripe];
    if (in_stripe == 0) continue;
    InPieces(in_stripe, most, [&](size_t begin, size_t end, uint32_t, uint32_t) {
      RowQuestion& question = cut.emplace_back();
      question.stripe = stripe;
      question.rows = static_cast<uint32_t>(end - begin);
      const auto data = std::make_shared<Buffer>((end - begin) * sizeof(int64_t));
      CopyIds(ids.data(), places + begin, end - begin, data->data());
      question.ids = data;
      question.places.assign(places + begin, places + end);
    });
  }
  return cut;
}

void PutRows(const Payload& rows, size_t row_bytes, const std::vector<size_t>& places,
             uint8_t* destination) {
  const size_t* place = places.data();
  ForEachStretch(rows, row_bytes, [&](const uint8_t* bytes, size_t stretch) {
    ForRowBytes(row_bytes, [&](auto row_size) {
      for (size_t i = 0; i < stretch; ++i, bytes += row_size) {
        std::memcpy(destination + *place++ * row_size, bytes, row_size);
      }
    });
  });
}

}  // namespace kvstore
