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
// The format is that of github.com/sbinet/npyio, which parses the headers here and, in the tests, reads whole files.
// The rest of npyio 0.6.0 does not hold for weights, so this package does it:
//
//   - Its npz writer always compresses. Its array writer takes an N-d shape only from a Go array type, for which it
//     copies the array three times (192 MiB for 64 MiB of float32), loses the dimensions after one of length 0
//     ([0][3] becomes (0,)), and does not align the data. Here a header is aligned to 64 bytes, as numpy writes it,
//     and the data is streamed through one small buffer.
//   - Its reader asks for each element by itself (three times the processor time of the reading here, SHA-256 included;
//     25 MB/s for uint8), takes a short read or an early end for zeros, allocates what a header asks for, and panics
//     on a header without a line end. Here a header must be, byte for byte, the one the manifest calls for.
package checkpoints
