package train

import (
	"context"
	"fmt"
	"math"

	"sparrow/data"
	"sparrow/model"
)

// Evaluate computes the mean loss over maxTokens tokens (0: all), always the
// same ones, in batches of batch sequences of seqLen tokens. after, if not nil,
// is told of every batch and of the mean loss so far.
func Evaluate(ctx context.Context, s *model.Session, tokens *data.Tokens, seqLen, batch, maxTokens int, after func(done, total int, loss float64)) (Score, error) {
	set, err := data.EvalBatches(tokens, seqLen, batch, maxTokens)
	if err != nil {
		return Score{}, err
	}
	program, err := s.Score(batch, seqLen)
	if err != nil {
		return Score{}, err
	}
	inputs, targets := make([]int, batch*seqLen), make([]int, batch*seqLen)
	var sum float64
	count := 0
	for i := range set.Batches() {
		if err := ctx.Err(); err != nil {
			return Score{}, err
		}
		count += set.Batch(i, inputs, targets)
		program.Feed(inputs, targets)
		if err := program.Run(); err != nil {
			return Score{}, err
		}
		sum += program.Loss()
		if after != nil {
			after(i+1, set.Batches(), sum/float64(count))
		}
	}
	score := Score{Loss: sum / float64(set.Tokens()), Tokens: set.Tokens()}
	score.Perplexity = math.Exp(score.Loss)
	if math.IsNaN(score.Loss) || math.IsInf(score.Loss, 0) {
		return score, fmt.Errorf("train: the loss on the validation text is %v", score.Loss)
	}
	return score, nil
}
