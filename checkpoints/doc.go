// Package checkpoints writes and reads checkpoint folders: arrays as npz files that numpy reads, other files as they
// are, and a manifest with the size and SHA-256 of everything. It must not know models, optimizers or graphs.
//
//	runs/tiny/checkpoints/step-000200/
//	    manifest.json     lineage, sizes, SHA-256 of every file and of every array
//	    model.npz         np.load("model.npz")["model.norm.weight"]
//	    optimizer.npz
//	    config.toml, state.json, tokenizer.json, ...
//
// A checkpoint is there completely or not at all. [Write] fills a folder beside the target, makes it durable and
// renames it; whatever a kill or a full disk leaves behind is called .tmp-step-N or .old-step-N, is no checkpoint to
// [List], and is removed by the next Write. The same contents give the same bytes: nothing records the time.
//
// Nothing is believed before it is checked: [Open] checks the manifest (it carries its own SHA-256) and the size of
// every file, and a file's SHA-256 is compared before any of it is interpreted. Memory is allocated for what a file
// verifiably holds, never for what a header asks for.
//
// # npz
//
// The format is numpy's: the tests read whole files by github.com/sbinet/npyio. A header is aligned to 64 bytes, as numpy writes
// it, and must be, byte for byte, the one that the manifest calls for, so that none is parsed; data is streamed through one small
// buffer.
package checkpoints
