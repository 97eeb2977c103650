// Package llama2c reads the models of llama2.c, small LLaMAs in one file of raw numbers, and the tokenizers beside them.
//
//	f, err := llama2c.Open("stories260K.bin")
//	if err != nil { ... }
//	defer f.Close()
//	t, ok := f.Tensor("layers.0.attention.wq.weight") // the names of llama2.c's PyTorch model
//
// The formats: https://github.com/karpathy/llama2.c/blob/master/export.py, the legacy one, version 1 and version 2 in
// groups of 8 bits. The package must not know models or tokenizers.
package llama2c
