#include "client/store/row_requests.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "common/rows/row_bytes.h"
#include "common/wire/byte_counts.h"

namespace kvstore {
namespace {

static_assert(kPartBytesMax / sizeof(int64_t) <= kRowsPerEntryMax, "bytes are the only limit");

// Whether `ids` are other ones than n, n + 1, n + 2 and so on.
bool HasGaps(const int64_t* ids, size_t count) {
  if (count == 0) return false;
  if (static_cast<size_t>(ids[count - 1] - ids[0]) != count - 1) return true;
  const auto not_next = [](int64_t id, int64_t next) { return next != id + 1; };
  return std::adjacent_find(ids, ids + count, not_next) != ids + count;
}

// The first row of `stripe` that is not before `row`.
int64_t FirstOfStripe(const RowShape& shape, int64_t row, PartIndex stripe) {
  return row + (stripe + shape.stripes - shape.StripeOf(row)) % shape.stripes;
}

void PutIds(const int64_t* ids, const size_t* chosen, size_t run, uint8_t* to, size_t place) {
  to += place * sizeof(*ids);
  for (size_t i = 0; i < run; ++i, to += sizeof(*ids)) {
    std::memcpy(to, ids + chosen[i], sizeof(*ids));
  }
}

// A list of rows, cut by stripe into pieces of at most `most` rows each, in the order of the
// stripes. `empty`: stripes without rows have a piece of none.
template <typename StripePiece>
class ByStripe {
  static constexpr size_t kBlock = 2048;

 public:
  ByStripe(const RowShape& shape, const int64_t* ids, size_t count, size_t most, bool empty)
      : shape_(shape), gaps_(HasGaps(ids, count)), most_(most), next_(shape.stripes) {
    std::vector<size_t> rows(shape.stripes);
    if (gaps_) {
      for (size_t i = 0; i < count; ++i) ++rows[shape.StripeOf(ids[i])];
    } else {
      for (size_t i = 0; i < std::min<size_t>(shape.stripes, count); ++i) {
        rows[shape.StripeOf(ids[i])] = (count - i + shape.stripes - 1) / shape.stripes;
      }
    }
    for (PartIndex stripe = 0; stripe < shape.stripes; ++stripe) {
      next_[stripe].piece = pieces_.size();
      const size_t pieces = std::max<size_t>(empty ? 1 : 0, (rows[stripe] + most - 1) / most);
      for (size_t piece = 0; piece < pieces; ++piece) {
        pieces_.push_back(
            StripePiece(stripe, std::min(most, rows[stripe] - piece * most), piece, pieces));
      }
    }
  }

  // Calls put(piece, place, chosen, n) for runs of the ids: the n of them at chosen[0..n) go to the
  // places from `place` on of the piece. Those of a piece keep their order.
  //
  // The list is read in blocks that the nearest cache holds, and the ids of a block are sorted by
  // stripe (a counting sort), so that each stripe is written a run at a time. Of a block of 2,048
  // ids the row of a list of all rows goes to each of 61 stripes in a run of 33 or 34. The two
  // simpler orders are slower where rows are narrow: one stripe after the other picks rows out of
  // the list 61 rows apart, a cache line for each; one row after the other writes to 61 stripes in
  // turns, which are as far from each other as lines that take each other's place in a cache.
  template <typename Put>
  void ForEach(const int64_t* ids, size_t count, const Put& put) {
    std::array<uint8_t, kBlock> stripe_of;
    std::array<size_t, kBlock> order;  // the block's ids by stripe
    for (size_t begin = 0; begin < count; begin += kBlock) {
      const size_t block = std::min(kBlock, count - begin);
      std::array<size_t, kStripes> end = {};  // of each stripe's ids in `order`
      if (gaps_) {
        for (size_t i = 0; i < block; ++i) {
          stripe_of[i] = static_cast<uint8_t>(shape_.StripeOf(ids[begin + i]));
          ++end[stripe_of[i]];
        }
        size_t before = 0;
        for (size_t& of_stripe : end) before += std::exchange(of_stripe, before);
        for (size_t i = 0; i < block; ++i) order[end[stripe_of[i]]++] = begin + i;
      } else {  // every so many ids are of one stripe
        const PartIndex of_first = shape_.StripeOf(ids[begin]);
        size_t ordered = 0;
        for (PartIndex stripe = 0; stripe < shape_.stripes; ++stripe) {
          size_t i = (stripe + shape_.stripes - of_first) % shape_.stripes;
          for (; i < block; i += shape_.stripes) order[ordered++] = begin + i;
          end[stripe] = ordered;
        }
      }
      const size_t* chosen = order.data();
      for (PartIndex stripe = 0; stripe < shape_.stripes; ++stripe) {
        Next& next = next_[stripe];
        for (const size_t* const last = order.data() + end[stripe]; chosen != last;) {
          const size_t run = std::min(static_cast<size_t>(last - chosen), most_ - next.place);
          put(pieces_[next.piece], next.place, chosen, run);
          chosen += run;
          next.place += run;
          if (next.place == most_) next = {next.piece + 1, 0};
        }
      }
    }
  }

  std::vector<StripePiece>& pieces() { return pieces_; }
  bool gaps() const { return gaps_; }

 private:
  struct Next {
    size_t piece = 0;
    size_t place = 0;
  };

  const RowShape& shape_;
  const bool gaps_;  // between the ids
  const size_t most_;
  std::vector<StripePiece> pieces_;
  std::vector<Next> next_;  // by stripe
};

}  // namespace

std::vector<RowFragment> CutRows(const RowShape& shape, const Rows& rows, bool list_ids) {
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
  const size_t most = kPartBytesMax / (sizeof(int64_t) + shape.row_bytes);
  ByStripe<StripePiece> cut(shape, rows.ids, rows.count, most, true);
  const size_t id_bytes = list_ids || cut.gaps() ? sizeof(int64_t) : 0;
  std::vector<RowFragment> fragments;
  fragments.reserve(cut.pieces().size());
  for (StripePiece& piece : cut.pieces()) {
    RowFragment& fragment = piece.fragment;
    if (fragment.rows > 0) {
      const auto buffer = std::make_shared<Buffer>(fragment.rows * (id_bytes + shape.row_bytes));
      CountCopiedBytes(buffer->size());
      piece.ids = buffer->data();
      piece.data = buffer->data() + fragment.rows * id_bytes;
      fragment.data = buffer;
      if (id_bytes == 0) {
        const int64_t first = FirstOfStripe(shape, rows.ids[0], fragment.stripe);
        const size_t before = fragment.fragment * most;
        fragment.rows_from = static_cast<uint64_t>(first) + before * shape.stripes + 1;
      }
    }
    fragments.push_back(std::move(fragment));
  }
  ForRowBytes(shape.row_bytes, [&](auto bytes) {
    cut.ForEach(rows.ids, rows.count,
                [&](const StripePiece& piece, size_t place, const size_t* chosen, size_t run) {
                  if (id_bytes > 0) PutIds(rows.ids, chosen, run, piece.ids, place);
                  uint8_t* to = piece.data + place * bytes;
                  for (size_t i = 0; i < run; ++i, to += bytes) {
                    std::memcpy(to, rows.data + chosen[i] * bytes, bytes);
                  }
                });
  });
  return fragments;
}

std::vector<RowQuestion> CutIds(const RowShape& shape, const std::vector<int64_t>& ids) {
  struct StripePiece {
    StripePiece(PartIndex stripe, size_t rows, size_t number, size_t /*pieces*/) : piece(number) {
      question.stripe = stripe;
      question.rows = static_cast<uint32_t>(rows);
    }
    RowQuestion question;
    size_t piece;
    uint8_t* ids = nullptr;
    size_t* places = nullptr;
  };
  const size_t most = kPartBytesMax / std::max(sizeof(int64_t), shape.row_bytes);
  ByStripe<StripePiece> cut(shape, ids.data(), ids.size(), most, false);
  std::vector<RowQuestion> questions;
  questions.reserve(cut.pieces().size());
  for (StripePiece& piece : cut.pieces()) {
    RowQuestion& question = piece.question;
    if (cut.gaps()) {
      const auto buffer = std::make_shared<Buffer>(question.rows * sizeof(int64_t));
      piece.ids = buffer->data();
      question.ids = buffer;
      question.places.listed.resize(question.rows);
      piece.places = question.places.listed.data();
    } else {
      const int64_t first = FirstOfStripe(shape, ids.front(), question.stripe) +
                            static_cast<int64_t>(piece.piece * most * shape.stripes);
      question.rows_from = static_cast<uint64_t>(first) + 1;
      question.places.first = static_cast<size_t>(first - ids.front());
      question.places.step = shape.stripes;
    }
    questions.push_back(std::move(question));
  }
  if (!cut.gaps()) return questions;
  cut.ForEach(ids.data(), ids.size(),
              [&](const StripePiece& piece, size_t place, const size_t* chosen, size_t run) {
                PutIds(ids.data(), chosen, run, piece.ids, place);
                std::copy_n(chosen, run, piece.places + place);
              });
  return questions;
}

void PutRows(const Payload& rows, size_t row_bytes, const RowPlaces& places, uint8_t* destination) {
  size_t next = 0;
  const auto put = [&](const auto& place_of) {
    ForEachStretch(rows, row_bytes, [&](const uint8_t* bytes, size_t stretch) {
      ForRowBytes(row_bytes, [&](auto row_size) {
        for (size_t i = 0; i < stretch; ++i, bytes += row_size) {
          std::memcpy(destination + place_of(next++) * row_size, bytes, row_size);
        }
      });
    });
  };
  // One loop for each of the two, which do not ask for every row which it is.
  if (places.listed.empty()) {
    put([first = places.first, step = places.step](size_t i) { return first + i * step; });
  } else {
    put([listed = places.listed.data()](size_t i) { return listed[i]; });
  }
}

}  // namespace kvstore
