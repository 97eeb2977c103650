// Package safetensors reads and writes the files of that name, in which Hugging Face keeps weights: a JSON header with
// the type, shape and place of every tensor, and the values after it.
//
//	f, err := safetensors.Open("model.safetensors") // or model.safetensors.index.json
//	if err != nil { ... }
//	defer f.Close()
//	for _, t := range f.Tensors() {
//		fmt.Println(t.Name, t.Type.Name, t.Shape)
//	}
//
// The format: https://github.com/huggingface/safetensors#format. A file is mapped, and its header is held against its
// size before anything is made of it. It must not know models or configs.
package safetensors
