package corpus_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/corpus"

	"gorgonia.org/tensor"

	"sparrow/nn"
)

// TestFile: a text file is read from its first byte to its last, in windows that do not overlap; the first token of each is not
// predicted, and a limit counts tokens from the beginning.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("abcdefghijk"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := recipe.Default()
	cfg.Data, cfg.Train.BatchSize = recipe.From(recipe.None{SeqLen: 4}), 2
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer = 8, 1 })
	c := corpus.Corpus{Config: cfg, Tokens: tokenizers.ByteTokenizer{}}
	s, err := cfg.Model.NewSession(cfg.Dims(256), nn.NewStore(tensor.Float32), model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const none = data.IgnoredTarget
	for _, x := range []struct {
		limit, stride int
		want          []int
	}{
		{0, 0, []int{'b', 'c', 'd', none, 'f', 'g', 'h', none, 'j', 'k', none, none, none, none, none, none}},
		{6, 0, []int{'b', 'c', 'd', none, 'f', none, none, none}},
		{0, 4, []int{'b', 'c', 'd', none, 'f', 'g', 'h', none, 'j', 'k', none, none, none, none, none, none}},
		{0, 2, []int{'b', 'c', 'd', none, none, 'e', 'f', none, none, 'g', 'h', none, none, 'i', 'j', none, none, 'k', none, none, none, none, none, none}},
		{5, 3, []int{'b', 'c', 'd', none, 'e', none, none, none}},
		{6, 1, []int{'b', 'c', 'd', none, none, none, 'e', none, none, none, 'f', none, none, none, none, none}},
	} {
		var got []int
		stream, err := c.Stream(context.Background(), s, task.Feed{Mode: model.Score, File: path, Limit: x.limit, Stride: x.stride}, func(_ *model.Program, w *corpus.Windows) int {
			got = append(got, w.Targets...)
			return 1
		})
		if err != nil {
			t.Fatal(err)
		}
		for range stream.Batches() {
			if _, _, err := stream.Next(); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("limit %d, stride %d: targets %v, want %v", x.limit, x.stride, got, x.want)
		}
	}
	for _, stride := range []int{-1, 5} {
		if _, err := c.Stream(context.Background(), s, task.Feed{Mode: model.Score, File: path, Stride: stride}, nil); err == nil {
			t.Errorf("stride %d of windows of 4 tokens is no error", stride)
		}
	}
	if _, err := c.Stream(context.Background(), s, task.Feed{Mode: model.Score}, nil); err == nil {
		t.Error("a model without data was measured on a split")
	}
}
