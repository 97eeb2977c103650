// Package foreign holds what the file formats of other tools have in common: named tensors in a mapped file, their
// element types, values as float32 on demand, names and shapes that a stranger wrote, shards and their index. Each
// format is a package beside this one. It must not know models, tokenizers or configs.
//
//	set, err := safetensors.Open("model.safetensors")
//	if err != nil { ... }
//	defer set.Close()
//	t, ok := set.Tensor("embeddings.word_embeddings.weight")
//	values, err := t.Values() // [vocabulary, width], row-major; shares the mapped file where that is possible
//
// Nothing is believed before it is checked, and nothing is allocated on a stranger's word: a size is held against the
// file's own size first, and the values of a tensor are made only when they are asked for.
package foreign
