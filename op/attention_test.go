package op

import (
	"fmt"
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// naiveAttention computes y and, from dy, the gradients of q, k and v with the
// whole T x T matrix of probabilities.
func naiveAttention(s subject, a AttentionShape, lengths []int, dy []float64) result {
	q, k, v := s.floats["q"].data, s.floats["k"].data, s.floats["v"].data
	T, K, hk, gk := a.SeqLen, a.HeadDim, a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	V := a.complete().ValueDim
	hv, gv := a.Heads*V, a.KVHeads*V
	y, dq, dk, dv := make([]float64, a.Batch*T*hv), make([]float64, len(q)), make([]float64, len(k)), make([]float64, len(v))
	scale := 1 / math.Sqrt(float64(K))
	if a.Scale != 0 {
		scale = a.Scale
	}
	for b := range a.Batch {
		for h := range a.Heads {
			g := h / (a.Heads / a.KVHeads)
			for i := range T {
				seen := T
				if lengths != nil {
					seen = lengths[b]
				}
				if a.Causal {
					seen = min(seen, i+1)
				}
				qi, yi := (b*T+i)*hk+h*K, (b*T+i)*hv+h*V
				p, sum, top := make([]float64, seen), 0.0, math.Inf(-1)
				for j := range seen {
					p[j] = scale * dot(q[qi:qi+K], k[(b*T+j)*gk+g*K:])
					top = max(top, p[j])
				}
				for j := range p {
					p[j] = math.Exp(p[j] - top)
					sum += p[j]
				}
				var delta float64 // sum_j P_ij dP_ij
				for j := range p {
					p[j] /= sum
					vj := (b*T+j)*gv + g*V
					delta += p[j] * dot(dy[yi:yi+V], v[vj:])
					for c := range V {
						y[yi+c] += p[j] * v[vj+c]
						dv[vj+c] += p[j] * dy[yi+c]
					}
				}
				for j := range p {
					kj, vj := (b*T+j)*gk+g*K, (b*T+j)*gv+g*V
					ds := scale * p[j] * (dot(dy[yi:yi+V], v[vj:]) - delta)
					for c := range K {
						dq[qi+c] += ds * k[kj+c]
						dk[kj+c] += ds * q[qi+c]
					}
				}
			}
		}
	}
	return result{y: y, grads: map[string][]float64{"q": dq, "k": dk, "v": dv}}
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// TestAttention compares output and gradients with the naive form for lengths of
// sequence that end before, at and behind the edges of query and key blocks.
func TestAttention(t *testing.T) {
	sizes := []int{1, 2, queryBlock - 1, queryBlock, queryBlock + 1, 2*queryBlock + 1, keyBlock + 1, 600}
	if testing.Short() {
		sizes = sizes[:5]
	}
	for _, size := range sizes {
		for _, h := range headLayouts {
			for _, causal := range []bool{false, true} {
				for _, lengths := range [][]int{nil, {size, 0}, {1, size - size/3}} {
					name := fmt.Sprintf("%d tokens %s causal=%v lengths=%v", size, h.name, causal, lengths)
					shape := AttentionShape{Batch: 2, SeqLen: size, Heads: h.queries, KVHeads: h.keys, HeadDim: 5, Causal: causal}
					t.Run(name, func(t *testing.T) {
						s := attentionOf(name, shape, lengths)
						s.dy = normal(source(), len(s.floats["q"].data)).data
						want := naiveAttention(s, shape, lengths, s.dy)
						sameResult(t, s.compile(t, tensor.Float64).result(t), want, 1e-12)
					})
				}
			}
		}
	}
}

// TestAttentionWidths compares heads that share one key head, over several blocks
// of rows and shares of dk and dv, and values of another width than keys.
func TestAttentionWidths(t *testing.T) {
	for name, shape := range map[string]AttentionShape{
		"one key head":                {Batch: 1, SeqLen: 140, Heads: 8, KVHeads: 1, HeadDim: 5},
		"one key head, wide values":   {Batch: 2, SeqLen: 131, Heads: 5, KVHeads: 1, HeadDim: 3, ValueDim: 7},
		"groups, narrow values":       {Batch: 1, SeqLen: 150, Heads: 12, KVHeads: 2, HeadDim: 6, ValueDim: 2},
		"no groups, wide values":      {Batch: 1, SeqLen: 70, Heads: 2, KVHeads: 2, HeadDim: 4, ValueDim: 9},
		"more heads than a block has": {Batch: 1, SeqLen: 3, Heads: 300, KVHeads: 1, HeadDim: 2},
	} {
		for _, causal := range []bool{false, true} {
			shape.Causal = causal
			t.Run(fmt.Sprintf("%s causal=%v", name, causal), func(t *testing.T) {
				s := attentionOf(name, shape, nil)
				s.dy = normal(source(), shape.Batch*shape.SeqLen*shape.Heads*shape.complete().ValueDim).data
				sameResult(t, s.compile(t, tensor.Float64).result(t), naiveAttention(s, shape, nil, s.dy), 1e-12)
			})
		}
	}
}

// TestAttentionKept compares sequences short enough, or just not, for their
// probabilities to be kept, over several blocks of rows.
func TestAttentionKept(t *testing.T) {
	for _, c := range []struct {
		size, headDim int
		kept          bool
	}{
		{1, 1, true}, {queryBlock + 2, queryBlock/2 + 1, true}, {queryBlock + 3, queryBlock/2 + 1, false},
		{keptTokens, keptTokens, true}, {keptTokens + 1, keptTokens, false},
	} {
		for _, h := range headLayouts {
			for _, causal := range []bool{false, true} {
				for _, lengths := range [][]int{nil, {c.size, 0}, {1, c.size - c.size/3}} {
					shape := AttentionShape{Batch: 2, SeqLen: c.size, Heads: h.queries, KVHeads: h.keys, HeadDim: c.headDim, Causal: causal}
					if got := shape.complete().keepsProbabilities(); got != c.kept {
						t.Fatalf("%d tokens, heads of %d: keeps probabilities: got %v, want %v", c.size, c.headDim, got, c.kept)
					}
					if testing.Short() && c.size >= keptTokens && causal == (lengths == nil) {
						continue // -short: long texts are causal with lengths, and not causal without
					}
					name := fmt.Sprintf("%d tokens of %d %s causal=%v lengths=%v", c.size, c.headDim, h.name, causal, lengths)
					t.Run(name, func(t *testing.T) {
						s := attentionOf(name, shape, lengths)
						s.dy = normal(source(), len(s.floats["q"].data)).data
						want := naiveAttention(s, shape, lengths, s.dy)
						sameResult(t, s.compile(t, tensor.Float64).result(t), want, 1e-12)
					})
				}
			}
		}
	}
}

// Scores far outside the range of the exponential, and a maximum that grows from
// one block of keys to the next, must not overflow.
func TestAttentionLargeScores(t *testing.T) {
	shape := AttentionShape{Batch: 1, SeqLen: 2*keyBlock + 3, Heads: 1, KVHeads: 1, HeadDim: 2, Scale: 400}
	s := attentionOf("large scores", shape, nil)
	s.dy = normal(source(), len(s.floats["q"].data)).data
	for i := range s.floats["k"].data { // scores grow with the key's position
		s.floats["k"].data[i] *= float64(i) / float64(shape.SeqLen)
	}
	want := naiveAttention(s, shape, nil, s.dy)
	sameResult(t, s.compile(t, tensor.Float64).result(t), want, 1e-9)
	for _, x := range s.compile(t, tensor.Float32).result(t).y {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			t.Fatalf("float32 output holds %v", x)
		}
	}
}

// TestAttentionMemory doubles the sequence: planned memory must double, not
// quadruple, in a graph with gradients. Where probabilities are kept they take their
// place, and without a backward pass they are not kept.
func TestAttentionMemory(t *testing.T) {
	kept := func(headDim int, training bool) int {
		tape := NewTape(tensor.Float32, training)
		leaf := func(name string) *G.Node {
			return tape.Input(name, tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(2*32, headDim)))
		}
		Attention(tape, leaf("q"), leaf("k"), leaf("v"), nil, AttentionShape{Batch: 2, SeqLen: 32, Heads: 1, KVHeads: 1, HeadDim: headDim})
		plan, err := tape.Plan(false)
		if err != nil {
			t.Fatal(err)
		}
		return plan.Bytes() - 4*2*32*headDim // less the output
	}
	for _, c := range []struct {
		headDim  int
		training bool
		want     int // values a row
	}{{15, true, 1}, {16, true, 32}, {16, false, 1}} {
		if got, want := kept(c.headDim, c.training), 4*2*32*c.want; got < want || got >= want+align {
			t.Errorf("32 tokens, heads of %d, training %v: keeps %d bytes, want %d", c.headDim, c.training, got, want)
		}
	}
	for _, kvHeads := range []int{2, 1} {
		bytes := func(size int) float64 {
			shape := AttentionShape{Batch: 1, SeqLen: size, Heads: 2, KVHeads: kvHeads, HeadDim: 8, Causal: true}
			return float64(attentionOf("memory", shape, nil).compile(t, tensor.Float32).plan.Bytes())
		}
		small, large := bytes(1024), bytes(2048)
		if ratio := large / small; ratio > 2.01 {
			t.Errorf("%d key heads: planned memory grows %.2f times when the sequence doubles (%.0f to %.0f bytes), want 2", kvHeads, ratio, small, large)
		}
	}
}
