// Skip-gram with negative sampling (Mikolov et al., "Distributed Representations of Words and
// Phrases and their Compositionality", 2013, equation 4): a word has a row v in the input table and
// a row u in the output table. For a word and one around it, the loss is
//
//   -log s(u_context . v) - sum over the noise words of log s(-u_noise . v),   s(x) = 1/(1 + e^-x)
//
// Float arithmetic in a fixed order: always the same bits for the same batch and rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "examples/word_vectors/batch.h"

namespace word_vectors {

// `inputs` and `outputs`: the rows of batch.inputs and batch.outputs, `dim` floats each, back to
// back. Sets the gradients, of the same shapes, to the slope of the sum of the losses, and returns
// that sum.
double Gradient(const Batch& batch, size_t dim, const float* inputs, const float* outputs,
                float* input_gradients, float* output_gradients);

// Adds to `row` the vector that word `id` starts from: uniform in +-0.5 / dim. The tables keep what
// the training added to it, so they start empty: nobody has to send or hold them whole.
void AddStart(uint64_t seed, uint32_t id, size_t dim, float* row);

}  // namespace word_vectors
