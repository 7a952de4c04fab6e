"""The exact packed forward: BERT, RoBERTa and DeBERTa-v2/v3 classifiers without padding and without repeated work.

entry         the door: packed_backend, and the backend it returns
support       which architectures and options are reproduced exactly
bare          the modules of a checkpoint, read without transformers
build         a model's modules -> ours, freeing the originals on the way
keeper        where and how their tensors are kept
numbers       tensors that stay in their file until they are needed
layout        examples -> rows of tokens, grouped by length
embed         ids -> the first hidden states
linear        matrix products with weights laid out for the processor
strassen      seven products for one, where that is faster
encoder       the blocks of all layers but the last
first_token   the last layer, for the one token that the classifier reads
attention     content attention (BERT, RoBERTa)
disentangled  content and position attention (DeBERTa-v2/v3)
cpu           attention and sums by compiled kernels of a CPU
native/       those kernels, and Strassen's sums, in C
gpu           attention, sums and the last layer by the kernels of a GPU
kernels       those kernels, in Triton
checking      whether kernels of either kind give what torch gives
positions     relative positions: buckets, projections, reachable rows
"""

from workers.runtime.packed.entry import packed_backend

__all__ = ["packed_backend"]
