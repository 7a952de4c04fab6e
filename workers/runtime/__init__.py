"""Turn checkpoints and texts into logits: loading, tokenising, batching, precision, devices.

backend               what a runtime runs on: token ids in, logits out
sources               where a checkpoint's folder is: catalogue, hub, installed package
hub                   fetch a checkpoint at a pinned commit, safetensors and text only
checkpoint            look a folder over before anything loads it
safetensors_header    the check of a weight file's header
digests               SHA-256 of files, once a process
labels                checkpoint columns into the data set's label order, by name
loading               the model in float32, an adapter merged into it
weights               the numbers of a weight file, read once
classifier            all of that together: a loaded classifier and its facts
cache                 the last models, kept warm while there is memory
memory                how much of it a device has, and has free; what the C library keeps of it
tokenizing            texts to token ids with the checkpoint's own tokenizer.json
batching              a slice cut into batches, the same every time
backends              the packed path, or transformers
transformers_backend  any architecture, padded
packed                the exact path without padding
lanes                 batches beside each other on a CPU
predictor             batches to logits, through lack of memory and non-finite values
precision             lower dtypes with float32's answers
devices               device, dtype, determinism
"""
