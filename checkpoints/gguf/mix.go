package gguf

import (
	"strings"

	"sparrow/checkpoints/foreign"
)

// FileType is which types the tensors of a file get.
type FileType struct {
	Name   string
	Number uint32 // the value of general.file_type
}

// The file types that are written.
var (
	FileF32    = FileType{"F32", 0}
	FileF16    = FileType{"F16", 1}
	FileQ4_0   = FileType{"Q4_0", 2}
	FileQ8_0   = FileType{"Q8_0", 7}
	FileQ4_K_M = FileType{"Q4_K_M", 15}
	FileBF16   = FileType{"BF16", 32}
)

// FileTypes lists them.
func FileTypes() []FileType {
	return []FileType{FileF32, FileF16, FileBF16, FileQ8_0, FileQ4_0, FileQ4_K_M}
}

// Choose sets the Type of each tensor, whose names are llama.cpp's, in the order in which they will be written, layers
// rising. What is not a matrix of weights stays F32: norms, biases, positions, token types. A row that the blocks of Q8_0
// or Q4_0 don't divide becomes F16. Q4_K_M is llama.cpp's mixture.
func (f FileType) Choose(tensors []foreign.Source) {
	one := map[FileType]*foreign.Type{FileF32: foreign.F32, FileF16: foreign.F16, FileBF16: foreign.BF16, FileQ8_0: Q8_0, FileQ4_0: Q4_0}[f]
	m := newMixture(tensors)
	for i := range tensors {
		t := &tensors[i]
		switch {
		case !quantizes(*t):
			t.Type = foreign.F32
		case one != nil:
			t.Type = fallback(one, t.Shape)
		default:
			t.Type = fallback(m.next(t.Name), t.Shape)
		}
	}
}

// quantizes says whether a tensor is a matrix of weights.
func quantizes(t foreign.Source) bool {
	if len(t.Shape) < 2 || !strings.HasSuffix(t.Name, "weight") || strings.Contains(t.Name, "_norm.weight") {
		return false
	}
	return t.Name != "position_embd.weight" && t.Name != "token_types.weight"
}

// fallback is what llama.cpp stores instead of a type whose blocks don't divide the rows.
func fallback(t *foreign.Type, shape []int) *foreign.Type {
	row := shape[len(shape)-1]
	if row%t.Block == 0 {
		return t
	}
	instead := map[*foreign.Type]*foreign.Type{Q4_K: Q5_0, Q6_K: Q8_0}[t]
	if instead == nil || row%instead.Block != 0 {
		return foreign.F16
	}
	return instead
}

// mixture is Q4_K_M: Q6_K for the output, or the embedding where that is the output too, and for the values and the
// second feed-forward matrices of the layers that suffer most; Q4_K elsewhere. Layers are counted as they come.
type mixture struct {
	tied          bool
	values, downs counter
}

type counter struct{ seen, all int }

// next says whether the next layer has more bits: the first and the last eighth, and every third between them.
func (c *counter) next() bool {
	i, n := c.seen, c.all
	c.seen++
	return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2
}

func isValue(name string) bool {
	return strings.Contains(name, "attn_v.weight") || strings.Contains(name, "attn_qkv.weight")
}

func newMixture(tensors []foreign.Source) *mixture {
	m := &mixture{tied: true}
	for _, t := range tensors {
		switch {
		case t.Name == "output.weight":
			m.tied = false
		case isValue(t.Name):
			m.values.all++
		case strings.Contains(t.Name, "ffn_down") && quantizes(t):
			m.downs.all++
		}
	}
	return m
}

func (m *mixture) next(name string) *foreign.Type {
	switch {
	case name == "output.weight", name == "token_embd.weight" && m.tied,
		isValue(name) && m.values.next(),
		strings.Contains(name, "ffn_down") && m.downs.next():
		return Q6_K
	}
	return Q4_K
}
