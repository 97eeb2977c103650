package data

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// counting returns the stream 0, 1, ..., n-1, whose tokens tell where they come from.
func counting(t testing.TB, n int) *Tokens {
	t.Helper()
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	tokens, err := NewTokens(n, ids)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func newLoader(t testing.TB, tokens *Tokens, cfg LoaderConfig) *Loader {
	t.Helper()
	loader, err := NewLoader(tokens, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return loader
}

// next returns the next batch.
func next(l *Loader) (inputs, targets []int) {
	n := l.cfg.BatchSize * l.cfg.SeqLen
	inputs, targets = make([]int, n), make([]int, n)
	l.Next(inputs, targets)
	return inputs, targets
}

func TestTokens(t *testing.T) {
	for _, test := range []struct {
		name      string
		vocabSize int
		bytes     int // for four ids
	}{
		{"one byte", 256, 4}, {"two bytes", 257, 8}, {"two bytes, largest", 1 << 16, 8}, {"four bytes", 1<<16 + 1, 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			ids := []int{0, 7, test.vocabSize - 1, 255}
			tokens, err := NewTokens(test.vocabSize, ids)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]int, 3)
			tokens.Copy(got, 1)
			if !slices.Equal(got, ids[1:]) || tokens.Len() != 4 || tokens.Bytes() != test.bytes {
				t.Errorf("tokens %v, Len %d, Bytes %d, want %v, 4, %d", got, tokens.Len(), tokens.Bytes(), ids[1:], test.bytes)
			}
		})
	}
	for _, id := range []int{-1, 10} {
		_, err := NewTokens(10, []int{3, id})
		if want := fmt.Sprintf("data: token 1 of the stream is %d, want an id in [0, 10)", id); err == nil || err.Error() != want {
			t.Errorf("NewTokens: got error %v, want %s", err, want)
		}
	}
}

func TestLoaderErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		tokens int
		cfg    LoaderConfig
		want   string
	}{
		{"no sequence", 10, LoaderConfig{SeqLen: 0, BatchSize: 1}, "data: loader: sequence length 0, want at least 1"},
		{"no batch", 10, LoaderConfig{SeqLen: 1, BatchSize: 0}, "data: loader: batch size 0, want at least 1"},
		{"short corpus", 8, LoaderConfig{SeqLen: 8, BatchSize: 1}, "data: loader: corpus of 8 tokens is shorter than one window of seq_len + 1 = 9 tokens"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := NewLoader(counting(t, test.tokens), test.cfg); err == nil || err.Error() != test.want {
				t.Errorf("got error %v, want %s", err, test.want)
			}
		})
	}
}

func TestLoaderVisitsEveryWindowOnceAnEpoch(t *testing.T) {
	for _, test := range []struct {
		name           string
		tokens, seqLen int
	}{
		{"one window", 9, 8}, {"two offsets", 10, 8}, {"single tokens", 50, 1}, {"many", 5000, 7}, {"exact", 65, 16}, {"one short of exact", 64, 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			loader := newLoader(t, counting(t, test.tokens), LoaderConfig{SeqLen: test.seqLen, BatchSize: 1, Seed: 5})
			offsets := map[int]bool{}
			for epoch := range 20 {
				if c := loader.Cursor(); epoch > 0 && c != (Cursor{epoch - 1, loader.windows}) {
					t.Fatalf("cursor %v before epoch %d", c, epoch)
				}
				var starts []int
				for first := true; first || loader.Cursor().Position < loader.windows; first = false {
					inputs, targets := next(loader)
					for i := range inputs {
						if targets[i] != inputs[i]+1 || i > 0 && inputs[i] != inputs[i-1]+1 {
							t.Fatalf("window %v with targets %v is not successive", inputs, targets)
						}
					}
					starts = append(starts, inputs[0])
				}
				slices.Sort(starts)
				for i, start := range starts {
					if want := starts[0] + i*test.seqLen; start != want {
						t.Fatalf("epoch %d: starts %v, want steps of %d", epoch, starts, test.seqLen)
					}
				}
				if starts[0] < 0 || starts[0] >= test.seqLen {
					t.Errorf("epoch %d begins at token %d, want below %d", epoch, starts[0], test.seqLen)
				}
				if left := test.tokens - 1 - (starts[len(starts)-1] + test.seqLen); left >= test.seqLen {
					t.Errorf("epoch %d leaves %d targets at the end, want fewer than %d", epoch, left, test.seqLen)
				}
				offsets[starts[0]] = true
			}
			if possible := min(test.seqLen, test.tokens-test.seqLen); possible > 1 && len(offsets) < 2 {
				t.Errorf("the offset was %v in all epochs", offsets)
			}
		})
	}
}

// TestLoaderResumes seeks to every position of three epochs and compares all that follows.
func TestLoaderResumes(t *testing.T) {
	for _, batchSize := range []int{1, 3, 50} { // 50: a batch spans more than one epoch
		t.Run(fmt.Sprint("batch size ", batchSize), func(t *testing.T) {
			cfg := LoaderConfig{SeqLen: 5, BatchSize: batchSize, Seed: 11}
			tokens := counting(t, 5*17+3)
			one := newLoader(t, tokens, LoaderConfig{SeqLen: 5, BatchSize: 1, Seed: 11})
			for one.Cursor().Epoch < 3 {
				cursor := one.Cursor()
				encoded, err := json.Marshal(cursor)
				if err != nil {
					t.Fatal(err)
				}
				var saved Cursor
				if err := json.Unmarshal(encoded, &saved); err != nil {
					t.Fatal(err)
				}
				resumed, walked := newLoader(t, tokens, cfg), newLoader(t, tokens, LoaderConfig{SeqLen: 5, BatchSize: 1, Seed: 11})
				if err := resumed.Seek(saved); err != nil {
					t.Fatal(err)
				}
				if resumed.Cursor() != cursor {
					t.Fatalf("cursor %v after Seek(%v)", resumed.Cursor(), cursor)
				}
				for walked.Cursor() != cursor {
					next(walked)
				}
				for batch := range 3 {
					inputs, targets := next(resumed)
					var wantInputs, wantTargets []int
					for range batchSize {
						i, g := next(walked)
						wantInputs, wantTargets = append(wantInputs, i...), append(wantTargets, g...)
					}
					if !slices.Equal(inputs, wantInputs) || !slices.Equal(targets, wantTargets) {
						t.Fatalf("batch %d after cursor %v: inputs %v, want %v", batch, cursor, inputs, wantInputs)
					}
				}
				if resumed.Cursor() != walked.Cursor() {
					t.Fatalf("after three batches: cursor %v resumed, %v walked", resumed.Cursor(), walked.Cursor())
				}
				next(one)
			}
		})
	}
}

func TestLoaderSeed(t *testing.T) {
	tokens := counting(t, 1000)
	batch := func(seed uint64) []int {
		inputs, _ := next(newLoader(t, tokens, LoaderConfig{SeqLen: 4, BatchSize: 8, Seed: seed}))
		return inputs
	}
	if diff := cmp.Diff(batch(1), batch(1)); diff != "" {
		t.Errorf("equal seeds differ:\n%s", diff)
	}
	if slices.Equal(batch(1), batch(2)) {
		t.Error("seeds 1 and 2 give the same batch")
	}
	// The numbers themselves: a change here breaks the resuming of every run.
	if got, want := fmt.Sprint(batch(1)), "[50 51 52 53 670 671 672 673 654 655 656 657 442 443 444 445 522 523 524 525 582 583 584 585 42 43 44 45 770 771 772 773]"; got != want {
		t.Errorf("first batch of seed 1 is %s, want %s", got, want)
	}
}

func TestSeekErrors(t *testing.T) {
	loader := newLoader(t, counting(t, 101), LoaderConfig{SeqLen: 10, BatchSize: 1})
	next(loader)
	before := loader.Cursor()
	for _, test := range []struct {
		name   string
		cursor Cursor
		want   string
	}{
		{"negative epoch", Cursor{-1, 0}, "cursor at epoch -1, position 0, want neither negative"},
		{"negative position", Cursor{0, -1}, "cursor at epoch 0, position -1, want neither negative"},
		{"beyond the epoch", Cursor{4, 11}, "cursor at position 11 of epoch 4, which has"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := loader.Seek(test.cursor); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
			if loader.Cursor() != before {
				t.Errorf("cursor %v after the error, want %v", loader.Cursor(), before)
			}
		})
	}
	reference := newLoader(t, counting(t, 101), LoaderConfig{SeqLen: 10, BatchSize: 1})
	next(reference)
	got, _ := next(loader)
	if want, _ := next(reference); !slices.Equal(got, want) {
		t.Errorf("batch after the errors is %v, want %v", got, want)
	}
}

func TestPermutation(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 15, 16, 17, 255, 256, 257, 1000, 65537} {
		for counter := range uint64(3) {
			p := newPermutation(size, 1, "test", counter)
			seen := make([]bool, size)
			for i := range size {
				x := p.at(i)
				if x < 0 || x >= size || seen[x] {
					t.Fatalf("size %d, counter %d: image %d of %d is outside or repeated", size, counter, x, i)
				}
				seen[x] = true
			}
		}
	}
}

// TestPermutationIsUniform counts where elements go over many keys, and how often neighbours stay neighbours.
func TestPermutationIsUniform(t *testing.T) {
	const keys = 40000
	for _, size := range []int{2, 3, 5, 17, 40, 300} {
		counts, successors := make([]int, size*size), 0
		for key := range keys {
			p := newPermutation(size, uint64(key), "test", 0)
			for i := range min(size, 4) {
				counts[i*size+p.at(i)]++
			}
			if p.at(1) == p.at(0)+1 {
				successors++
			}
		}
		for i := range min(size, 4) {
			sum, expected := 0.0, float64(keys)/float64(size)
			for _, n := range counts[i*size : (i+1)*size] {
				sum += (float64(n) - expected) * (float64(n) - expected) / expected
			}
			// Six standard deviations above the mean of a chi-square variable, at least the 10^-9 quantile of few degrees.
			if limit := float64(size) + 6*math.Sqrt(2*float64(size)) + 20; sum > limit {
				t.Errorf("size %d: images of %d have chi-square %.0f over %d cells", size, i, sum, size)
			}
		}
		// The successor of 0's image follows it with probability 1/size.
		mean := float64(keys) / float64(size)
		if d := float64(successors) - mean; d*d > 36*mean {
			t.Errorf("size %d: 1 follows 0 in %d of %d permutations, want about %.0f", size, successors, keys, mean)
		}
	}
}
