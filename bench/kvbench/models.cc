#include "bench/kvbench/models.h"

namespace kvstore::bench {
namespace {

// A convolution, and the scale and shift of its batch norm.
void AddConvolution(size_t in, size_t out, size_t side, std::vector<size_t>* elements) {
  elements->insert(elements->end(), {out * in * side * side, out, out});
}

std::vector<size_t> ResNet50() {
  constexpr size_t kExpansion = 4, kClasses = 1000;
  constexpr size_t kBlocks[] = {3, 4, 6, 3};
  std::vector<size_t> elements;
  AddConvolution(3, 64, 7, &elements);
  size_t in = 64, width = 64;
  for (const size_t blocks : kBlocks) {
    const size_t out = width * kExpansion;
    for (size_t block = 0; block < blocks; ++block) {
      AddConvolution(in, width, 1, &elements);
      AddConvolution(width, width, 3, &elements);
      AddConvolution(width, out, 1, &elements);
      if (block == 0) AddConvolution(in, out, 1, &elements);  // of the shortcut
      in = out;
    }
    width *= 2;
  }
  elements.insert(elements.end(), {kClasses * in, kClasses});
  return elements;
}

std::vector<size_t> Transformer() {
  constexpr size_t kLayers = 166, kWidth = 128, kInner = 512;
  constexpr size_t kWords = 2048, kPlaces = 512, kSegments = 2;
  // Embeddings and their norm.
  std::vector<size_t> elements = {kWords * kWidth, kPlaces * kWidth, kSegments * kWidth, kWidth,
                                  kWidth};
  for (size_t layer = 0; layer < kLayers; ++layer) {
    elements.insert(elements.end(), {3 * kWidth * kWidth, 3 * kWidth, kWidth * kWidth, kWidth,  //
                                     kWidth, kWidth,                                            //
                                     kInner * kWidth, kInner, kWidth * kInner, kWidth,          //
                                     kWidth, kWidth});
  }
  // The last norm, and the bias of the words, whose weights are the embeddings.
  elements.insert(elements.end(), {kWidth, kWidth, kWords});
  return elements;
}

}  // namespace

std::vector<std::string> ModelNames() { return {"resnet50", "transformer"}; }

std::vector<size_t> ModelElements(std::string_view model) {
  if (model == "resnet50") return ResNet50();
  if (model == "transformer") return Transformer();
  return {};
}

}  // namespace kvstore::bench
