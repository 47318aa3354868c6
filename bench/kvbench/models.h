// The tensors of models that people train, by their sizes: most of them are small.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore::bench {

// "resnet50", "transformer".
std::vector<std::string> ModelNames();

// Elements of each tensor, in the order of the layers; none: no such model.
//
// resnet50: the 161 parameters of ResNet-50 (He et al., 2016, table 1) as torchvision has them,
// 25,557,032 elements: 53 convolutions without biases, each with the two vectors of its batch
// norm, and the last layer. 108 have fewer than 5,000 elements.
// transformer: 2,000 parameters of 166 encoder layers of width 128 (Vaswani et al., 2017: four
// matrices of attention as two, feed-forward of 512), 33,243,648 elements in 12 tensors a layer, of
// which 8 have 128 to 512; embeddings of 2,048 words, 512 places and 2 segments.
std::vector<size_t> ModelElements(std::string_view model);

}  // namespace kvstore::bench
