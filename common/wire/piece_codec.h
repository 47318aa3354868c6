// The fields of a Piece, which are fields of the request that brings it
// (RequestEntry in proto/kvstore/v1/data.proto); its bytes are the frame codec's matter.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "common/wire/piece.h"
#include "common/wire/proto_reader.h"
#include "common/wire/proto_writer.h"

namespace kvstore::wire {

struct PieceField {
  enum : uint32_t {
    kRows = 11,
    kFragment = 12,
    kFragments = 13,
    kCreate = 14,
    kCodec = 15,
    kRowsFrom = 16
  };
};

template <typename Sink>
void PutPiece(Sink& sink, const Piece& piece) {
  PutVarint(sink, PieceField::kRows, piece.rows);
  PutVarint(sink, PieceField::kFragment, piece.fragment);
  PutVarint(sink, PieceField::kFragments, piece.fragments > 1 ? piece.fragments : 0);
  PutVarint(sink, PieceField::kCreate, piece.create ? 1 : 0);
  PutEnum(sink, PieceField::kCodec, piece.codec);
  PutVarint(sink, PieceField::kRowsFrom, piece.rows_from);
}

// Reads a field if it is one of a piece; skips any other.
inline absl::Status ReadPieceField(ProtoReader& reader, const Field& field, Piece* piece) {
  switch (field.number) {
    case PieceField::kRows:
      return reader.Uint32(field, &piece->rows);
    case PieceField::kFragment:
      return reader.Uint32(field, &piece->fragment);
    case PieceField::kFragments: {
      const absl::Status status = reader.Uint32(field, &piece->fragments);
      piece->fragments = std::max(piece->fragments, 1u);  // 0 is what protobuf leaves out
      return status;
    }
    case PieceField::kCreate:
      return reader.Bool(field, &piece->create);
    case PieceField::kCodec:
      return reader.Enum32(field, &piece->codec);
    case PieceField::kRowsFrom:
      return reader.Uint64(field, &piece->rows_from);
    default:
      return reader.Skip(field);
  }
}

}  // namespace kvstore::wire
