// Package interchange brings the models of other tools in and takes checkpoints out again. Each family of models is one file,
// which renames and reshapes, and says what it does not support.
//
//	source, err := interchange.Open("all-MiniLM-L6-v2") // a folder, a .gguf, a llama2.c .bin, a wheel or zip
//	if err != nil { ... }
//	defer source.Close()
//	m, err := source.Model(interchange.Options{})      // one error lists all that stands against it
//	arrays, err := m.Arrays("float32", nil)            // converted one by one
//
// A model is seen as Hugging Face's transformers sees it: a config.json, named tensors and a tokenizer.json. GGUF and llama2.c
// files are translated into that first. Nothing is believed before it is checked. The package reads no corpus and runs no
// network.
package interchange
