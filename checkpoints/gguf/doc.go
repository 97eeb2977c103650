// Package gguf reads and writes the files of llama.cpp and its kin: metadata, among it the tokenizer, and tensors of
// which most are quantized in blocks.
//
//	f, err := gguf.Open("model.gguf")
//	if err != nil { ... }
//	defer f.Close()
//	width, ok := f.Metadata.Int("llama.embedding_length")
//	t, ok := f.Tensor("blk.0.attn_q.weight")
//	values, err := t.Values()
//
// The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Shapes are given
// outermost dimension first, as in PyTorch; the file has them the other way round. What llama.cpp would not load is
// refused: tensors follow each other in the file without overlap or hole, and each name is there once. The package must
// not know models or tokenizers.
package gguf
