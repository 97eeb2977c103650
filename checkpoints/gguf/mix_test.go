package gguf

import (
	"fmt"
	"testing"

	"sparrow/checkpoints/foreign"
)

// llama is the tensors of a LLaMA of a width, of which a layer has so many.
func llama(layers, width int, tied bool) (tensors []foreign.Source) {
	add := func(name string, shape ...int) { tensors = append(tensors, foreign.Source{Name: name, Shape: shape}) }
	add("token_embd.weight", 1000, width)
	add("output_norm.weight", width)
	if !tied {
		add("output.weight", 1000, width)
	}
	for i := range layers {
		b := fmt.Sprintf("blk.%d.", i)
		add(b+"attn_norm.weight", width)
		add(b+"attn_q.weight", width, width)
		add(b+"attn_q.bias", width)
		add(b+"attn_k.weight", width, width)
		add(b+"attn_v.weight", width, width)
		add(b+"attn_output.weight", width, width)
		add(b+"ffn_norm.weight", width)
		add(b+"ffn_gate.weight", 1024, width)
		add(b+"ffn_up.weight", 1024, width)
		add(b+"ffn_down.weight", width, 1024)
	}
	return tensors
}

func TestQ4_K_MIsLlamaCppsMixture(t *testing.T) {
	chosen := func(layers, width int, tied bool) map[string]string {
		tensors := llama(layers, width, tied)
		FileQ4_K_M.Choose(tensors)
		names := map[string]string{}
		for _, x := range tensors {
			names[x.Name] = x.Type.Name
		}
		return names
	}
	check := func(t *testing.T, got map[string]string, name, want string) {
		t.Helper()
		if got[name] != want {
			t.Errorf("%s is %s; want %s", name, got[name], want)
		}
	}
	got := chosen(16, 256, false)
	check(t, got, "output.weight", "Q6_K")
	check(t, got, "token_embd.weight", "Q4_K")
	check(t, got, "output_norm.weight", "F32")
	check(t, got, "blk.0.attn_q.bias", "F32")
	check(t, got, "blk.0.attn_q.weight", "Q4_K")
	// The first 2 of 16, the last 2, and of those between each third.
	for i, want := range []string{"Q6_K", "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q6_K", "Q6_K"} {
		check(t, got, fmt.Sprintf("blk.%d.attn_v.weight", i), want)
		check(t, got, fmt.Sprintf("blk.%d.ffn_down.weight", i), want)
	}
	// Rows of 576, as SmolLM2's, are not whole blocks of 256; those of ffn_down are. The embedding is the output.
	got = chosen(16, 576, true)
	check(t, got, "token_embd.weight", "Q8_0")
	check(t, got, "blk.0.attn_v.weight", "Q8_0")
	check(t, got, "blk.2.attn_v.weight", "Q5_0")
	check(t, got, "blk.0.attn_q.weight", "Q5_0")
	check(t, got, "blk.0.ffn_down.weight", "Q6_K")
	check(t, got, "blk.2.ffn_down.weight", "Q4_K")
	got = chosen(16, 50, true)
	check(t, got, "token_embd.weight", "F16")
	check(t, got, "blk.0.attn_q.weight", "F16")
}

func TestOneTypeForAllMatrices(t *testing.T) {
	for file, want := range map[FileType]*foreign.Type{FileF32: foreign.F32, FileF16: foreign.F16, FileBF16: foreign.BF16, FileQ8_0: Q8_0, FileQ4_0: Q4_0} {
		tensors := llama(2, 64, false)
		tensors = append(tensors, foreign.Source{Name: "position_embd.weight", Shape: []int{8, 64}})
		file.Choose(tensors)
		for _, x := range tensors {
			w := want
			if len(x.Shape) == 1 || x.Name == "position_embd.weight" {
				w = foreign.F32
			}
			if x.Type != w {
				t.Errorf("%s: %s is %s; want %s", file.Name, x.Name, x.Type.Name, w.Name)
			}
		}
	}
}
