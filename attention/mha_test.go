package attention_test

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/nn"
	"sparrow/nn/nntest"
)

const (
	batch, seqLen, dModel = 2, 5, 8
	theta                 = 20   // small, so that every pair turns
	eps                   = 1e-2 // large, so that it counts
)

// positions of the tokens of each sequence: not their indices.
var positions = []int{0, 2, 3, 7, 8, 1, 2, 4, 5, 9}

// layerCase is one attention layer.
type layerCase struct {
	attention.Config
	rotary, causal bool
	lengths        []int // nil: all tokens count
}

// TestMHA: queries, keys and values by three projections, rotary positions,
// softmax(Q Kᵀ / sqrt(K)) V a head, and the output projection.
func TestMHA(t *testing.T) {
	config := func(kind attention.Kind, kvHeads int) attention.Config {
		return attention.Of(kind, attention.Heads{NHead: 4, NKVHead: kvHeads, Theta: theta})
	}
	biases := attention.Projections{Bias: true}
	mha, gqa, mqa := attention.MHA{}, attention.GQA{}, attention.MQA{}
	biasedMHA, biasedGQA, biasedMQA := attention.MHA{Projections: biases}, attention.GQA{Projections: biases}, attention.MQA{Projections: biases}
	wide := config(gqa, 2)
	wide.HeadDim = 6
	yes, no := true, false
	normed, open, closed, linear, llama3 := wide, config(mha, 0), config(mha, 0), config(mha, 0), config(mha, 0)
	normed.Of = attention.GQA{Projections: attention.Projections{QKNorm: &yes}}
	open.Of = attention.MHA{Projections: attention.Projections{Bias: true, OutputBias: &no}}
	closed.Of = attention.MHA{Projections: attention.Projections{OutputBias: &yes}}
	linear.HeadDim, linear.Scaling = 6, &attention.RopeScaling{Kind: "linear", Factor: 4}
	llama3.HeadDim, llama3.Scaling = 8, &attention.RopeScaling{Kind: "llama3", Factor: 8, LowFreq: 1, HighFreq: 2, Original: 16} // 2.5, 1.2, 0.6 and 0.3 waves
	for name, c := range map[string]layerCase{
		"mha":                       {Config: config(mha, 0), causal: true},
		"mha, both directions":      {Config: config(mha, 0)},
		"mha, bias":                 {Config: config(biasedMHA, 0), causal: true},
		"mha, rotary":               {Config: config(mha, 0), rotary: true, causal: true},
		"mha, rotary, bias":         {Config: config(biasedMHA, 0), rotary: true, causal: true},
		"mha, lengths":              {Config: config(mha, 0), lengths: []int{5, 3}},
		"gqa":                       {Config: config(gqa, 2), causal: true},
		"gqa, rotary, bias":         {Config: config(biasedGQA, 2), rotary: true, causal: true},
		"gqa, rotary, wide heads":   {Config: wide, rotary: true, causal: true},
		"gqa, normed heads":         {Config: normed, rotary: true, causal: true},
		"mha, no bias of o":         {Config: open, causal: true},
		"mha, bias of o alone":      {Config: closed, causal: true},
		"mha, linear scaling":       {Config: linear, rotary: true, causal: true},
		"mha, llama3 scaling":       {Config: llama3, rotary: true, causal: true},
		"mqa":                       {Config: config(mqa, 0), causal: true},
		"mqa, rotary, bias":         {Config: config(biasedMQA, 0), rotary: true, causal: true},
		"mqa, both directions, all": {Config: config(biasedMQA, 1), rotary: true},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, c.naiveMHA) })
	}
}

// check compares the layer with the naive form, and its gradients with differences.
func (c layerCase) check(t *testing.T, naive func(v map[string][]float64) []float64) {
	nntest.Check(t, nntest.Layer{
		Build: func(b *nn.Builder) *G.Node {
			cfg := attention.LayerConfig{Config: c.Config, DModel: dModel, Causal: c.causal, Eps: eps, Init: nn.Normal(1), OutInit: nn.Normal(1)}
			seq := nn.SeqInfo{Batch: batch, SeqLen: seqLen}
			if c.rotary {
				cfg.Rotary = c.RotaryTable(dModel, 10, b.Tape.Dtype)
				seq.Positions = b.Tape.Input("positions", tensor.New(tensor.WithBacking(positions), tensor.WithShape(batch*seqLen)))
			}
			if c.lengths != nil {
				seq.Lengths = b.Tape.Input("lengths", tensor.New(tensor.WithBacking(c.lengths), tensor.WithShape(batch)))
			}
			return attention.New(b, cfg).Forward(nntest.Input(b, "x", batch*seqLen, dModel), seq, 0)
		},
		Naive: naive,
		Shape: []int{batch * seqLen, dModel},
	})
}

// naiveMHA is the layer token by token and head by head.
func (c layerCase) naiveMHA(v map[string][]float64) []float64 {
	k := c.Dim(dModel)
	q := c.heads(normedHeads(project(v["x"], v["q_proj.weight"], v["q_proj.bias"], dModel), v["q_norm.weight"]), k, c.rotary)
	key := c.heads(normedHeads(project(v["x"], v["k_proj.weight"], v["k_proj.bias"], dModel), v["k_norm.weight"]), k, c.rotary)
	val := c.heads(project(v["x"], v["v_proj.weight"], v["v_proj.bias"], dModel), k, false)
	return project(c.mix(q, key, val, 1/math.Sqrt(float64(k))), v["o_proj.weight"], v["o_proj.bias"], c.NHead*k)
}

// mix is attention of q to key and val, each [token][head][width]: the heads of
// all tokens one after the other. Heads of q share those of key and val evenly.
func (c layerCase) mix(q, key, val [][][]float64, scale float64) []float64 {
	group := c.NHead / len(key[0])
	var mixed []float64
	for s := range batch {
		for i := range seqLen {
			last := seqLen
			if c.lengths != nil {
				last = c.lengths[s]
			}
			if c.causal {
				last = min(last, i+1)
			}
			for h := range c.NHead {
				weights, sum := make([]float64, last), 0.0
				for j := range last {
					var score float64
					for d, x := range q[s*seqLen+i][h] {
						score += x * key[s*seqLen+j][h/group][d]
					}
					weights[j] = math.Exp(score * scale)
					sum += weights[j]
				}
				out := make([]float64, len(val[0][0]))
				for j, w := range weights {
					for d := range out {
						out[d] += w / sum * val[s*seqLen+j][h/group][d]
					}
				}
				mixed = append(mixed, out...)
			}
		}
	}
	return mixed
}

// heads cuts rows of heads of width k to [token][head][k], turned by the tokens'
// positions if turn.
func (c layerCase) heads(y []float64, k int, turn bool) [][][]float64 {
	perToken := len(y) / (batch * seqLen)
	out := make([][][]float64, batch*seqLen)
	for n := range out {
		for h := 0; h < perToken; h += k {
			head := y[n*perToken+h : n*perToken+h+k]
			if turn {
				head = c.turned(head, positions[n])
			}
			out[n] = append(out[n], head)
		}
	}
	return out
}

// normedHeads divides each piece of the weight's width by its root mean square and multiplies by the weight; nil: as it is.
func normedHeads(x, weight []float64) []float64 {
	if weight == nil {
		return x
	}
	var y []float64
	for at := 0; at < len(x); at += len(weight) {
		head := x[at : at+len(weight)]
		var squares float64
		for _, v := range head {
			squares += v * v
		}
		for i, v := range head {
			y = append(y, v/math.Sqrt(squares/float64(len(weight))+eps)*weight[i])
		}
	}
	return y
}

// turned rotates each pair (x[i], x[i+K/2]) by position * theta^(-2i/K), scaled.
func (c layerCase) turned(x []float64, position int) []float64 {
	half := len(x) / 2
	y := make([]float64, len(x))
	for i := range half {
		sin, cos := math.Sincos(float64(position) * c.scaled(math.Pow(theta, -2*float64(i)/float64(len(x)))))
		y[i] = x[i]*cos - x[half+i]*sin
		y[half+i] = x[half+i]*cos + x[i]*sin
	}
	return y
}

// scaled is a frequency as transformers computes it, in lengths of waves.
func (c layerCase) scaled(f float64) float64 {
	s := c.Scaling
	if s == nil {
		return f
	}
	wave, long := 2*math.Pi/f, float64(s.Original)
	switch {
	case s.Kind == "linear" || wave > long/s.LowFreq:
		return f / s.Factor
	case wave < long/s.HighFreq:
		return f
	}
	smooth := (long/wave - s.LowFreq) / (s.HighFreq - s.LowFreq)
	return (1-smooth)*f/s.Factor + smooth*f
}

// project is x Wᵀ + b of rows of width in; b may be nil.
func project(x, w, b []float64, in int) []float64 {
	var y []float64
	for row := 0; row < len(x); row += in {
		for o := range len(w) / in {
			var sum float64
			for i := range in {
				sum += x[row+i] * w[o*in+i]
			}
			if b != nil {
				sum += b[o]
			}
			y = append(y, sum)
		}
	}
	return y
}
