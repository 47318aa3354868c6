// RequestFrame of proto/kvstore/v1/data.proto: what a request has beyond the frame codec's part.
#include "common/wire/frame.h"
#include "common/wire/frame_codec.h"
#include "common/wire/model_codec.h"
#include "common/wire/piece_codec.h"

namespace kvstore {
namespace wire {
namespace {

struct RequestField {
  enum : uint32_t { kStep = 8, kProbedOp = 9, kTakesBack = 10 };  // and PieceField's
};
struct RequestFrameField {
  enum : uint32_t { kOptimizer = 10, kCommand = 11 };
};

struct RequestCodec {
  using Frame = RequestFrame;
  using Entry = RequestEntry;
  static constexpr const char* kFrameName = "RequestFrame";
  static constexpr const char* kEntryName = "RequestEntry";

  static const Payload& Bytes(const Entry& entry) { return entry.piece.data; }
  static Payload& Bytes(Entry& entry) { return entry.piece.data; }
  static bool MayStandForMany(const Entry&) { return true; }
  static bool SameFields(const Entry& a, const Entry& b) {
    return a.step == b.step && a.probed_op == b.probed_op && a.takes_back == b.takes_back &&
           a.piece.SameFields(b.piece);
  }

  template <typename Sink>
  static void PutFields(Sink& sink, const Entry& entry) {
    PutVarint(sink, RequestField::kStep, entry.step);
    PutEnum(sink, RequestField::kProbedOp, entry.probed_op);
    PutVarint(sink, RequestField::kTakesBack, entry.takes_back);
    PutPiece(sink, entry.piece);
  }
  template <typename Sink>
  static void PutExtras(Sink& sink, const Frame& frame) {
    if (frame.optimizer) {
      PutMessage(sink, RequestFrameField::kOptimizer,
                 [&frame](auto& to) { PutOptimizer(to, *frame.optimizer); });
    }
    if (frame.command) {
      PutMessage(sink, RequestFrameField::kCommand,
                 [&frame](auto& to) { PutCommand(to, *frame.command); });
    }
  }

  static absl::Status ReadField(ProtoReader& reader, const Field& field, Entry* entry) {
    switch (field.number) {
      case RequestField::kStep:
        return reader.Uint64(field, &entry->step);
      case RequestField::kProbedOp:
        return reader.Enum32(field, &entry->probed_op);
      case RequestField::kTakesBack:
        return reader.Uint64(field, &entry->takes_back);
      default:
        return ReadPieceField(reader, field, &entry->piece);
    }
  }
  static absl::Status ReadExtra(ProtoReader& reader, const Field& field, Frame* frame) {
    switch (field.number) {
      case RequestFrameField::kOptimizer:
        if (!frame->optimizer) frame->optimizer.emplace();
        return reader.Message(field, "OptimizerConfig", [frame](ProtoReader& optimizer) {
          return ReadOptimizer(optimizer, &*frame->optimizer);
        });
      case RequestFrameField::kCommand:
        if (!frame->command) frame->command.emplace();
        return reader.Message(field, "Command", [frame](ProtoReader& command) {
          return ReadCommand(command, &*frame->command);
        });
      default:
        return reader.Skip(field);
    }
  }
};

}  // namespace
}  // namespace wire

Payload EncodeFrame(const RequestFrame& frame) { return wire::Encode<wire::RequestCodec>(frame); }

template <>
absl::StatusOr<RequestFrame> DecodeFrame<RequestFrame>(const Payload& bytes) {
  return wire::Decode<wire::RequestCodec>(bytes);
}

}  // namespace kvstore
