package decoder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/model"
)

// generated are the tokens of each sequence.
func generated(t *testing.T, n int, generate func(emit func(seq, token int) error) error) [][]int {
	t.Helper()
	all := make([][]int, n)
	if err := generate(func(seq, token int) error {
		all[seq] = append(all[seq], token)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAFD: attention and FFN in stages of their own write the tokens of Generate,
// with any number of micro-batches, for prompts of different lengths, one of which
// is read in two chunks, greedily and drawn, and with sequences that stop.
func TestAFD(t *testing.T) {
	threads := kernel.Threads()
	for variant := range variants {
		for _, int8s := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, int8 %t", variant, int8s), func(t *testing.T) {
				o := model.Options{Poison: true, Int8Cache: int8s}
				s := small(t, tensor.Float64, variant, o)
				cfg, _ := configOf(s)
				lengths := []int{3, 1, 9, 5, 2}
				if cfg.Positions == "rotary" {
					lengths[1] = prefillChunk + 2
				}
				var prompts [][]int
				for i, n := range lengths {
					prompts = append(prompts, tokensOf(n, fmt.Sprint("afd", i)))
				}
				for _, opts := range []GenerateOptions{
					{Tokens: 6},
					{Tokens: 7, Sampler: model.Sampler{Temperature: 1.3, TopP: 0.9, Seed: 4}, Stop: func(token int) bool { return token%5 == 2 }},
				} {
					want := generated(t, len(prompts), func(emit func(seq, token int) error) error {
						return generate(context.Background(), s, prompts, opts, emit)
					})
					for _, n := range []int{1, 2, 3} {
						got := generated(t, len(prompts), func(emit func(seq, token int) error) error {
							stats, err := stages(context.Background(), s, o, prompts, opts, n, emit)
							if stats.Attention <= 0 || stats.FFN <= 0 || stats.Wall < max(stats.Attention, stats.FFN) {
								t.Errorf("%d micro-batches: %+v", n, stats)
							}
							return err
						})
						if !slices.EqualFunc(got, want, slices.Equal) {
							t.Errorf("%d micro-batches, temperature %g: tokens %v, want %v", n, opts.Temperature, got, want)
						}
					}
				}
			})
		}
	}
	if got := kernel.Threads(); got != threads {
		t.Errorf("%d threads afterwards, want %d as before", got, threads)
	}
}

// TestAFDEnds: errors and cancelling end both stages.
func TestAFDEnds(t *testing.T) {
	s := small(t, tensor.Float32, "mfa", model.Options{})
	prompts := [][]int{{1, 2}, {3}}
	ctx, cancel := context.WithCancel(context.Background())
	enough := errors.New("enough")
	for _, tc := range []struct {
		name    string
		prompts [][]int
		batches int
		emit    func(seq, token int) error
		want    string
	}{
		{"emit", prompts, 2, func(seq, _ int) error {
			if seq == 1 {
				return enough
			}
			return nil
		}, "enough"},
		{"cancel", prompts, 2, func(int, int) error { cancel(); return nil }, context.Canceled.Error()},
		{"more micro-batches than sequences", prompts, 3, nil, "3 micro-batches of 2 sequences; want 1 to 2"},
		{"no micro-batch", prompts, 0, nil, "0 micro-batches of 2 sequences"},
		{"empty prompt", [][]int{{}}, 1, nil, "prompt 0 is empty"},
		{"nothing", nil, 1, nil, "nothing to generate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := stages(ctx, s, model.Options{}, tc.prompts, GenerateOptions{Tokens: 50}, tc.batches, tc.emit)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	learned := small(t, tensor.Float32, "gpt2", model.Options{})
	if _, err := stages(context.Background(), learned, model.Options{}, prompts, GenerateOptions{Tokens: 500}, 1, nil); err == nil || !strings.Contains(err.Error(), "learned positions end at") {
		t.Errorf("beyond the positions: %v", err)
	}
}
