package decoder

import (
	"errors"
	"fmt"
	"slices"

	"sparrow/kernel"
	"sparrow/model"
)

// GenerateOptions say how GenerateAFD chooses tokens and when it stops.
type GenerateOptions struct {
	Tokens int // new tokens a sequence
	model.Sampler
	Stop func(token int) bool // ends a sequence; nil: never
}

// prefillChunk is how many tokens of a prompt one run takes.
const prefillChunk = 128

// checkPrompts returns the length of the longest prompt, or why they cannot be
// continued.
func checkPrompts(prompts [][]int, opts GenerateOptions) (longest int, err error) {
	for i, p := range prompts {
		if len(p) == 0 {
			return 0, fmt.Errorf("model: prompt %d is empty: a model continues at least one token", i)
		}
		longest = max(longest, len(p))
	}
	if len(prompts) == 0 || opts.Tokens < 1 {
		return 0, errors.New("model: nothing to generate: want a prompt and at least one token")
	}
	return longest, nil
}

// writer chooses the tokens of some of the sequences.
type writer struct {
	opts    GenerateOptions
	first   int // number of the first sequence
	stopped []bool
	written int // tokens a sequence so far
	emit    func(seq, token int) error
}

func newWriter(opts GenerateOptions, first, sequences int, emit func(seq, token int) error) *writer {
	return &writer{opts: opts, first: first, stopped: make([]bool, sequences), emit: emit}
}

// write chooses and emits a token for every sequence that goes on and makes it
// the next input. It says whether any sequence wants another one. Scores that are
// no numbers are an error, since every choice among them would look like text.
func (w *writer) write(logits [][]float64, tokens, fresh []int) (live bool, err error) {
	for i := range w.stopped {
		fresh[i] = 0
		if w.stopped[i] {
			continue
		}
		if j := slices.IndexFunc(logits[i], func(x float64) bool { return !kernel.Finite(x) }); j >= 0 {
			return false, fmt.Errorf("model: sequence %d: the score of token %d is %v: the weights are damaged or their training diverged", w.first+i, j, logits[i][j])
		}
		token := w.opts.Choose(logits[i], w.first+i, w.written)
		if w.opts.Stop != nil && w.opts.Stop(token) {
			w.stopped[i] = true
			continue
		}
		if err := w.emit(w.first+i, token); err != nil {
			return false, err
		}
		tokens[i], fresh[i] = token, 1
		live = true
	}
	w.written++
	return live && w.written < w.opts.Tokens, nil
}

// chunks are the lengths of the pieces that prompts are read in.
func chunks(prompts [][]int) []int {
	longest := 0
	for _, p := range prompts {
		longest = max(longest, len(p))
	}
	var all []int
	for from := 0; from < longest; from += prefillChunk {
		all = append(all, min(prefillChunk, longest-from))
	}
	return all
}

// readChunk fills in the tokens [B*n] of the prompts from a place on, and how many
// each has.
func readChunk(prompts [][]int, from, n int, tokens, fresh []int) {
	for i, prompt := range prompts {
		row := tokens[i*n : (i+1)*n]
		clear(row)
		fresh[i] = copy(row, prompt[min(from, len(prompt)):])
	}
}

// place fills in the positions [B*T] of fresh tokens that come after past ones,
// and the row of each sequence's last. Those of padding stay below capacity.
func place(past, fresh, positions, last []int, capacity int) {
	seqLen := len(positions) / len(past)
	for i := range past {
		for j := range seqLen {
			positions[i*seqLen+j] = min(past[i]+j, capacity-1)
		}
		last[i] = i*seqLen + max(0, fresh[i]-1)
	}
}

// takeScores keeps the scores [B, V] of the sequences that had fresh tokens, which
// are past now.
func takeScores(all []float64, fresh, past []int, logits [][]float64) {
	vocab := len(all) / len(fresh)
	for i, n := range fresh {
		if n > 0 {
			logits[i] = all[i*vocab : (i+1)*vocab]
			past[i] += n
		}
	}
}
