// Package pickle reads the weights that torch.save writes (pytorch_model.bin, model.pt) and executes nothing: its
// interpreter has the opcodes that a dict of tensors needs and knows a dozen names, which stand for fixed values. Every
// other opcode or name is an error that says which one it is.
//
//	set, err := pickle.Open("pytorch_model.bin") // or pytorch_model.bin.index.json
//	if err != nil { ... }
//	defer set.Close()
//	t, ok := set.Tensor("transformer.wte.weight")
//
// Both forms are read: the zip of PyTorch 1.6 and later, of which the storages stay mapped, and the plain stream of
// pickles before it. The opcodes are those of https://github.com/python/cpython/blob/main/Lib/pickletools.py, what is in
// the files those of torch/serialization.py. The package must not know models.
package pickle
