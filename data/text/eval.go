package text

import (
	"fmt"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// EvalSet is a fixed subset of a token stream, cut into batches. It depends on nothing but the stream and the four
// numbers it was made from, so a checkpoint evaluates to the same digits each time; and the windows do not depend on
// the batch size.
type EvalSet struct {
	tokens    *tokenizers.Tokens
	seqLen    int
	batchSize int
	total     int // target tokens
	windows   int
	pool      int // the windows are spread evenly over this many
}

// EvalBatches selects maxTokens target tokens of the stream, or all when maxTokens is 0 or more than there are. The
// windows of seqLen targets are spread evenly over the stream, since its beginning alone may be one chapter or one
// package. It fails when the stream has fewer than two tokens or a size is not positive.
func EvalBatches(tokens *tokenizers.Tokens, seqLen, batchSize, maxTokens int) (*EvalSet, error) {
	switch {
	case seqLen < 1:
		return nil, fmt.Errorf("data: evaluation: sequence length %d, want at least 1", seqLen)
	case batchSize < 1:
		return nil, fmt.Errorf("data: evaluation: batch size %d, want at least 1", batchSize)
	case maxTokens < 0:
		return nil, fmt.Errorf("data: evaluation: %d tokens, want 0 (all) or more", maxTokens)
	case tokens.Len() < 2:
		return nil, fmt.Errorf("data: evaluation: corpus of %d tokens, want at least 2 (one input and one target)", tokens.Len())
	}
	e := &EvalSet{tokens: tokens, seqLen: seqLen, batchSize: batchSize, total: tokens.Len() - 1}
	if maxTokens > 0 {
		e.total = min(e.total, maxTokens)
	}
	e.windows = (e.total + seqLen - 1) / seqLen
	// Only whole windows are spread, so that dropping the end of the last one leaves exactly total targets. When all
	// whole windows are not enough, the stream's own short last window completes them.
	e.pool = max(e.windows, (tokens.Len()-1)/seqLen)
	return e, nil
}

// Tokens returns the number of targets over all batches.
func (e *EvalSet) Tokens() int { return e.total }

// Batches returns the number of batches.
func (e *EvalSet) Batches() int { return (e.windows + e.batchSize - 1) / e.batchSize }

// Batch fills inputs and targets, each [B, T], with batch i and returns its number of targets. Places beyond the last
// target hold input 0 and IgnoredTarget. A wrong i or length is a programmer's error and panics.
func (e *EvalSet) Batch(i int, inputs, targets []int) int {
	if n := e.batchSize * e.seqLen; len(inputs) != n || len(targets) != n || i < 0 || i >= e.Batches() {
		panic(fmt.Sprintf("data: EvalSet.Batch(%d): %d inputs and %d targets, want %d of each and a batch in [0, %d)",
			i, len(inputs), len(targets), n, e.Batches()))
	}
	count := 0
	for row := range e.batchSize {
		rowInputs := inputs[row*e.seqLen : (row+1)*e.seqLen]
		rowTargets := targets[row*e.seqLen : (row+1)*e.seqLen]
		window, n := i*e.batchSize+row, 0
		if window < e.windows {
			start := e.seqLen * (window * e.pool / e.windows)
			n = min(e.seqLen, e.total-window*e.seqLen)
			e.tokens.Copy(rowInputs[:n], start)
			e.tokens.Copy(rowTargets[:n], start+1)
		}
		clear(rowInputs[n:])
		for j := n; j < e.seqLen; j++ {
			rowTargets[j] = data.IgnoredTarget
		}
		count += n
	}
	return count
}
