package model

// Weighed is a body that knows from below what it needs before it is planned.
type Weighed interface {
	// Least is less than what it takes in training on rows sequences of length tokens, or on rows images. Layers may be small
	// where they are factored.
	Least(d Dims, rows, length int, factored bool) Need
}

// Need is an estimate in float64, for sizes whose bytes an int does not hold.
type Need struct {
	Weights, Activations float64 // bytes
	Graph                float64 // bytes of the activations that a plan makes itself: nodes, and tables of angles
}

// GraphBytes is less than the graph of one block takes.
const GraphBytes = 20e3

// TextBlocks are the sizes of a body of blocks over a text, by which it is weighed.
type TextBlocks struct {
	Layers, Width int
	Hidden        int     // width inside the MLP; 0: not known, at least twice Width
	Attention     float64 // weights of a block's attention
	Learned       bool    // places have vectors
	Angles        int     // width of what positions turn, else
	Scores        bool    // each token has scores, not each text or few tokens
}

// Least is what such a body needs at least.
func (b TextBlocks) Least(dims Dims, rows, length int, factored bool) Need {
	d, layers, vocab, context := float64(b.Width), float64(b.Layers), float64(dims.VocabSize), float64(dims.Context)
	hidden := float64(b.Hidden)
	if hidden == 0 {
		hidden = 2 * d
	}
	tokens := float64(rows) * float64(length)
	blocks := layers * (2*d*hidden + b.Attention)
	if factored {
		blocks = layers * 2 * d // factored layers may be small; the norms are not
	}
	scores := 0.0
	if b.Scores {
		scores = vocab
	}
	need := Need{Weights: 4 * (vocab*d + blocks), Graph: layers * GraphBytes}
	need.Activations = tokens*(3*8+4*(d+hidden+scores)) + layers*GraphBytes
	if b.Learned {
		need.Weights += 4 * context * d
		return need
	}
	angles := 4 * context * float64(b.Angles) // their table
	need.Activations += angles
	need.Graph += angles
	return need
}
