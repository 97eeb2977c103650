// Package data turns text into batches of token ids: corpora, tokenizers, windows and the cursor that makes a run
// resumable; and labelled texts and images into examples. It knows nothing of networks, graphs or training.
//
// A language model reads a stream of tokens:
//
//	dataset, err := data.Open(ctx, data.DefaultConfig()) // the Go distribution's source, as bytes
//	loader, err := data.NewLoader(dataset.Train, data.LoaderConfig{SeqLen: 128, BatchSize: 16, Seed: 1})
//	inputs, targets := make([]int, 16*128), make([]int, 16*128)
//	for step := range steps {
//		loader.Next(inputs, targets)
//		...
//	}
//	saved := loader.Cursor() // into the checkpoint; loader.Seek(saved) continues with equal batches
//
// A classifier or a regression reads labelled texts, one or two an example, padded to one of at most four lengths:
//
//	d, err := data.OpenLabelled(ctx, cfg) // source = "imdb" or "tsv"
//	loader, err := data.NewExampleLoader(d.Train, data.ExampleLoaderConfig{BatchSize: 32, MaxLen: 256, Seed: 1})
//	var batch data.ExampleBatch
//	for step := range steps {
//		loader.Next(&batch) // batch.Tokens, Types, Lengths, Labels
//		...
//	}
//
// [OpenImages] reads images, source "mnist" or "image_folder", and an [ImageLoader] hands out their variants; a [Corruption]
// spoils them to measure robustness. Data sets that no user has to provide come from Go modules,
// which the go command fetches, verifies and keeps.
//
// Every choice is a function of the config and the seed: which files are taken, what is held out, in which order windows
// come. No choice depends on the time, on goroutines or on the order in which a file system lists its files.
//
// Byte-pair encoding follows Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units"
// (ACL 2016), over bytes as in GPT-2 (Radford et al. 2019), and agrees id by id with Hugging Face tokenizers. It is our
// own because github.com/sugarme/tokenizer does not agree on real text (119 of 622 chunks got other ids) and its loader
// panics on malformed files.
package data
