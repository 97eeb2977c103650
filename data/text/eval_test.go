package text

import (
	"slices"
	"strings"
	"testing"

	"sparrow/data"
)

func TestEvalBatches(t *testing.T) {
	for _, test := range []struct {
		name                                 string
		tokens, seqLen, batchSize, maxTokens int
		wantTokens, wantBatches              int
		wantStarts                           []int
	}{
		{"all", 41, 10, 2, 0, 40, 2, []int{0, 10, 20, 30}},
		{"all, short last window", 38, 10, 2, 0, 37, 2, []int{0, 10, 20, 30}},
		{"all, partial last batch", 41, 10, 3, 0, 40, 2, []int{0, 10, 20, 30}},
		{"spread", 101, 10, 2, 30, 30, 2, []int{0, 30, 60}},
		{"spread, cut in the last window", 101, 10, 2, 25, 25, 2, []int{0, 30, 60}},
		{"more than there is", 41, 10, 2, 1000, 40, 2, []int{0, 10, 20, 30}},
		{"all but a few", 48, 10, 1, 45, 45, 5, []int{0, 10, 20, 30, 40}},
		{"less than a window", 101, 10, 2, 3, 3, 1, []int{0}},
		{"short corpus", 4, 10, 2, 0, 3, 1, []int{0}},
		{"smallest corpus", 2, 10, 1, 0, 1, 1, []int{0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, err := EvalBatches(counting(t, test.tokens), test.seqLen, test.batchSize, test.maxTokens)
			if err != nil {
				t.Fatal(err)
			}
			if set.Tokens() != test.wantTokens || set.Batches() != test.wantBatches {
				t.Errorf("%d tokens in %d batches, want %d in %d", set.Tokens(), set.Batches(), test.wantTokens, test.wantBatches)
			}
			n := test.batchSize * test.seqLen
			inputs, targets := make([]int, n), make([]int, n)
			var starts []int
			total := 0
			for batch := range set.Batches() {
				for i := range n {
					inputs[i], targets[i] = 777, 777 // every place must be written
				}
				got, counted := set.Batch(batch, inputs, targets), 0
				for i := range n {
					switch {
					case targets[i] == data.IgnoredTarget:
						if inputs[i] != 0 {
							t.Errorf("batch %d: ignored place %d has input %d, want 0", batch, i, inputs[i])
						}
					case targets[i] != inputs[i]+1:
						t.Errorf("batch %d: input %d has target %d", batch, inputs[i], targets[i])
					default:
						counted++
						if i%test.seqLen == 0 {
							starts = append(starts, inputs[i])
						}
					}
				}
				if got != counted {
					t.Errorf("batch %d: Batch returned %d targets, counted %d", batch, got, counted)
				}
				total += got
			}
			if total != test.wantTokens {
				t.Errorf("batches have %d targets, want %d", total, test.wantTokens)
			}
			if !slices.Equal(starts, test.wantStarts) {
				t.Errorf("windows start at %v, want %v", starts, test.wantStarts)
			}
		})
	}
}

func TestEvalBatchesDoNotDependOnBatchSize(t *testing.T) {
	tokens := counting(t, 1003)
	all := func(batchSize int) (targets []int) {
		set, err := EvalBatches(tokens, 16, batchSize, 333)
		if err != nil {
			t.Fatal(err)
		}
		in, out := make([]int, batchSize*16), make([]int, batchSize*16)
		for i := range set.Batches() {
			set.Batch(i, in, out)
			for _, target := range out {
				if target != data.IgnoredTarget {
					targets = append(targets, target)
				}
			}
		}
		return targets
	}
	want := all(1)
	for _, batchSize := range []int{2, 5, 64} {
		if got := all(batchSize); !slices.Equal(got, want) {
			t.Errorf("batch size %d: targets %v, want %v", batchSize, got, want)
		}
	}
}

func TestEvalBatchesErrors(t *testing.T) {
	for _, test := range []struct {
		name                                 string
		tokens, seqLen, batchSize, maxTokens int
		want                                 string
	}{
		{"no sequence", 10, 0, 1, 0, "sequence length 0, want at least 1"},
		{"no batch", 10, 1, 0, 0, "batch size 0, want at least 1"},
		{"negative tokens", 10, 1, 1, -1, "-1 tokens, want 0 (all) or more"},
		{"one token", 1, 1, 1, 0, "corpus of 1 tokens, want at least 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := EvalBatches(counting(t, test.tokens), test.seqLen, test.batchSize, test.maxTokens)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}
