#include "client/store/row_requests.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "common/rows/row_bytes.h"
#include "common/wire/byte_counts.h"

namespace kvstore {
namespace {

static_assert(kPartBytesMax / sizeof(int64_t) <= kRowsPerEntryMax, "bytes are the only limit");

// A list of rows, cut by stripe into pieces of at most `most` rows each, in the order of the
// stripes. `empty`: stripes without rows have a piece of none.
template <typename StripePiece>
class ByStripe {
 public:
  ByStripe(const RowShape& shape, const int64_t* ids, size_t count, size_t most, bool empty)
      : shape_(shape), most_(most), next_(shape.stripes) {
    std::vector<size_t> rows(shape.stripes);
    for (size_t i = 0; i < count; ++i) ++rows[shape.StripeOf(ids[i])];
    for (PartIndex stripe = 0; stripe < shape.stripes; ++stripe) {
      next_[stripe].piece = pieces_.size();
      const size_t pieces = std::max<size_t>(empty ? 1 : 0, (rows[stripe] + most - 1) / most);
      for (size_t piece = 0; piece < pieces; ++piece) {
        pieces_.push_back(
            StripePiece(stripe, std::min(most, rows[stripe] - piece * most), piece, pieces));
      }
    }
  }

  // Calls put(piece, place, i) for each of the ids: the i-th one is the one at `place` of the
  // piece. Those of a piece keep their order.
  //
  // The list is read once, front to back, and written to all stripes at once, each of which is
  // written front to back: much cheaper than one stripe after the other, where narrow rows would be
  // picked out of the list 61 rows apart, a cache line for each.
  template <typename Put>
  void ForEach(const int64_t* ids, size_t count, const Put& put) {
    for (size_t i = 0; i < count; ++i) {
      Next& next = next_[shape_.StripeOf(ids[i])];
      put(pieces_[next.piece], next.place, i);
      if (++next.place == most_) next = {next.piece + 1, 0};
    }
  }

  std::vector<StripePiece>& pieces() { return pieces_; }

 private:
  struct Next {
    size_t piece = 0;
    size_t place = 0;
  };

  const RowShape& shape_;
  const size_t most_;
  std::vector<StripePiece> pieces_;
  std::vector<Next> next_;  // by stripe
};

void PutId(int64_t id, uint8_t* ids, size_t place) {
  std::memcpy(ids + place * sizeof(id), &id, sizeof(id));
}

}  // namespace

std::vector<RowFragment> CutRows(const RowShape& shape, const Rows& rows) {
  struct StripePiece {
    StripePiece(PartIndex stripe, size_t rows, size_t number, size_t pieces) {
      fragment.stripe = stripe;
      fragment.rows = static_cast<uint32_t>(rows);
      fragment.fragment = static_cast<uint32_t>(number);
      fragment.fragments = static_cast<uint32_t>(pieces);
    }
    RowFragment fragment;
    uint8_t* ids = nullptr;
    uint8_t* data = nullptr;
  };
  const size_t entry_bytes = sizeof(int64_t) + shape.row_bytes;
  ByStripe<StripePiece> cut(shape, rows.ids, rows.count, kPartBytesMax / entry_bytes, true);
  std::vector<RowFragment> fragments;
  fragments.reserve(cut.pieces().size());
  for (StripePiece& piece : cut.pieces()) {
    if (piece.fragment.rows > 0) {
      const auto buffer = std::make_shared<Buffer>(piece.fragment.rows * entry_bytes);
      CountCopiedBytes(buffer->size());
      piece.ids = buffer->data();
      piece.data = buffer->data() + piece.fragment.rows * sizeof(int64_t);
      piece.fragment.data = buffer;
    }
    fragments.push_back(std::move(piece.fragment));
  }
  ForRowBytes(shape.row_bytes, [&](auto bytes) {
    cut.ForEach(rows.ids, rows.count, [&](const StripePiece& piece, size_t place, size_t i) {
      PutId(rows.ids[i], piece.ids, place);
      std::memcpy(piece.data + place * bytes, rows.data + i * bytes, bytes);
    });
  });
  return fragments;
}

std::vector<RowQuestion> CutIds(const RowShape& shape, const std::vector<int64_t>& ids) {
  struct StripePiece {
    StripePiece(PartIndex stripe, size_t rows, size_t /*number*/, size_t /*pieces*/) {
      question.stripe = stripe;
      question.rows = static_cast<uint32_t>(rows);
    }
    RowQuestion question;
    uint8_t* ids = nullptr;
    size_t* places = nullptr;
  };
  const size_t most = kPartBytesMax / std::max(sizeof(int64_t), shape.row_bytes);
  ByStripe<StripePiece> cut(shape, ids.data(), ids.size(), most, false);
  std::vector<RowQuestion> questions;
  questions.reserve(cut.pieces().size());
  for (StripePiece& piece : cut.pieces()) {
    const auto buffer = std::make_shared<Buffer>(piece.question.rows * sizeof(int64_t));
    piece.ids = buffer->data();
    piece.question.ids = buffer;
    piece.question.places.resize(piece.question.rows);
    piece.places = piece.question.places.data();
    questions.push_back(std::move(piece.question));
  }
  cut.ForEach(ids.data(), ids.size(), [&](const StripePiece& piece, size_t place, size_t i) {
    PutId(ids[i], piece.ids, place);
    piece.places[place] = i;
  });
  return questions;
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
