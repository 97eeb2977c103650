package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: B sequences, T tokens, H hidden width, D directions, W sequences of one
// piece of work (at most gruWidth).

// GRUDirection is one direction of a gated recurrent layer.
type GRUDirection struct {
	Gates   *G.Node // x W_iᵀ + b_i [B*T, 3H] of all tokens, columns of r, z and n
	Weight  Param   // W_h [3H, H], rows of r, z and n
	Bias    Param   // b_h [3H]
	Reverse bool    // from a sequence's last token to its first
}

// GRU is a gated recurrent layer over whole sequences (Cho et al. 2014), in the
// form of cuDNN and PyTorch, where the reset gate multiplies the recurrent
// candidate with its bias:
//
//	r_t = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
//	z_t = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
//	n_t = tanh(W_in x_t + b_in + r_t * (W_hn h_{t-1} + b_hn))
//	h_t = (1 - z_t) * n_t + z_t * h_{t-1}
//
// The products with x do not depend on h: a linear layer makes them for all
// tokens at once and they come in as Gates. h starts at zero.
//
// gates [B*T, 3H] a direction -> y [B*T, D*H], the directions side by side.
// lengths [B] integers, or nil, ends sequences early: a reversed direction starts
// at a sequence's own last token, and y is zero from its end on. Nothing that the
// padding holds changes a result, as long as it is finite.
//
// Sequences advance together, up to gruWidth of them as columns of one matrix, so
// that a step is one product W_h [3H, H] * h [H, W]. Directions and such pieces of the
// batch run in parallel. Forward keeps r, z, n, W_hn h + b_hn and h of each token.
func GRU(t *Tape, batch, seqLen int, lengths *G.Node, directions ...GRUDirection) *G.Node {
	if t.Dtype == tensor.Float32 {
		return gru[float32](t, batch, seqLen, lengths, directions)
	}
	return gru[float64](t, batch, seqLen, lengths, directions)
}

// gruWidth is the number of sequences that advance together: the columns of the
// widest micro-tile, two AVX-512 vectors of float32.
const gruWidth = 32

func gru[T kernel.Float](t *Tape, batch, seqLen int, lengths *G.Node, directions []GRUDirection) *G.Node {
	h := directions[0].Weight.Shape()[1]
	n := batch * seqLen
	var operands G.Nodes
	for _, d := range directions {
		wantShape("gru", "weight", d.Weight.Node, 3*h, h)
		wantShape("gru", "bias", d.Bias.Node, 3*h)
		wantShape("gru", "gates", d.Gates, n, 3*h)
		operands = append(operands, d.Gates, d.Weight.Node, d.Bias.Node)
	}
	if lengths != nil {
		wantShape("gru", "lengths", lengths, batch)
		operands = append(operands, lengths)
	}
	s := gruShape{batch: batch, seqLen: seqLen, hidden: h, directions: directions, kept: t.records()}
	gates, states := t.buffer(len(directions)*s.gateSize()*batch), t.buffer(len(directions)*s.stateSize()*batch)
	weights := t.buffer(len(directions) * 3 * h * (h + 1))
	o := t.operator("gru", tensor.Shape{n, len(directions) * h})
	o.aux = []*buffer{gates, states, weights}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		g := &gruRun[T]{gruShape: s, gates: floats[T](gates), states: floats[T](states), weights: floats[T](weights), y: data[T](out)}
		if err := g.bind(in); err != nil {
			return err
		}
		for d := range directions {
			g.joinBias(d)
		}
		g.each(g.forward)
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes { return gruGrad[T](o, s, in, dy, gates, states) }
	return t.apply(o, operands...)
}

// gruShape is what does not change from run to run.
type gruShape struct {
	batch, seqLen, hidden int
	directions            []GRUDirection
	kept                  bool // gates and states of all steps, for the backward pass
}

// gateSize and stateSize are the elements kept for each sequence and direction.
func (s gruShape) gateSize() int  { return s.gateSlots() * 4 * s.hidden }
func (s gruShape) stateSize() int { return s.stateSlots() * (s.hidden + 1) }

func (s gruShape) gateSlots() int {
	if s.kept {
		return s.seqLen
	}
	return 1
}

func (s gruShape) stateSlots() int {
	if s.kept {
		return s.seqLen + 1
	}
	return 2
}

// gruRun is one execution: the operands as slices.
type gruRun[T kernel.Float] struct {
	gruShape
	inputs  [][]T // Gates of each direction
	wh, bh  [][]T // Weight and Bias
	lengths []int // nil: all tokens count

	gates   []T // of each piece [steps, 4H, W]: n, r, z and q = W_hn h + b_hn
	states  []T // of each piece [1 + steps, H + 1, W]: h before each step, over a row of ones
	weights []T // of each direction [3H, H + 1]: W_h with b_h as its last column
	y       []T

	dy, dhn, before []T   // backward: [B*T, D*H]; gradients of q and h before each step, [B*T, H] a direction
	dgates          [][]T // of each direction [B*T, 3H]
}

// bind takes the operands.
func (g *gruRun[T]) bind(in []G.Value) error {
	for d := range g.directions {
		g.inputs = append(g.inputs, data[T](in[3*d]))
		g.wh, g.bh = append(g.wh, data[T](in[3*d+1])), append(g.bh, data[T](in[3*d+2]))
	}
	if last := 3 * len(g.directions); last < len(in) {
		g.lengths = ints(in[last])
		return checkLengths(g.lengths, g.seqLen)
	}
	return nil
}

// checkLengths reports a length that no padded sequence can have.
func checkLengths(lengths []int, seqLen int) error {
	for b, n := range lengths {
		if n < 0 || n > seqLen {
			return fmt.Errorf("length %d of sequence %d, want 0 to %d", n, b, seqLen)
		}
	}
	return nil
}

// joinBias copies W_h and b_h side by side: over a row of ones, the bias is part
// of the product.
func (g *gruRun[T]) joinBias(d int) {
	h := g.hidden
	w := g.joined(d)
	for i := range 3 * h {
		copy(w[i*(h+1):], g.wh[d][i*h:(i+1)*h])
		w[i*(h+1)+h] = g.bh[d][i]
	}
}

// joined is W_h and b_h of direction d, [3H, H+1].
func (g *gruRun[T]) joined(d int) []T {
	size := 3 * g.hidden * (g.hidden + 1)
	return g.weights[d*size : (d+1)*size]
}

// gruPiece is the part of the work that runs on one thread: sequences b0 to
// b0 + w of direction d.
type gruPiece[T kernel.Float] struct {
	d, b0, w          int
	shortest, longest int // of its sequences
	gates, states     []T
	product           func(transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int)
}

// each runs f on every piece, over the pool.
func (g *gruRun[T]) each(f func(p *gruPiece[T])) {
	chunks := (g.batch + gruWidth - 1) / gruWidth
	pieces := chunks * len(g.directions)
	kernel.Parallel(pieces, func(i int) {
		p := &gruPiece[T]{d: i / chunks, b0: i % chunks * gruWidth, product: kernel.GemmSerial[T]}
		if pieces == 1 {
			p.product = kernel.Gemm[T] // the other threads have nothing else to do
		}
		p.w = min(gruWidth, g.batch-p.b0)
		p.shortest, p.longest = g.seqLen, g.seqLen
		if g.lengths != nil {
			p.longest = 0
			for _, n := range g.lengths[p.b0 : p.b0+p.w] {
				p.shortest, p.longest = min(p.shortest, n), max(p.longest, n)
			}
		}
		at := p.d*g.batch + p.b0
		p.gates, p.states = g.gates[at*g.gateSize():], g.states[at*g.stateSize():]
		f(p)
	})
}

// token is the place in its sequence of the token that step i reads.
func (g *gruRun[T]) token(p *gruPiece[T], i int) int {
	if g.directions[p.d].Reverse {
		return p.longest - 1 - i
	}
	return i
}

// step is the gates of step i: n, r, z and q, [H, W] each.
func (g *gruRun[T]) step(p *gruPiece[T], i int) (n, r, z, q []T) {
	size := g.hidden * p.w
	s := p.gates[i%g.gateSlots()*4*size:]
	return s[:size], s[size : 2*size], s[2*size : 3*size], s[3*size : 4*size]
}

// state is h before step i and its row of ones, [H+1, W].
func (g *gruRun[T]) state(p *gruPiece[T], i int) []T {
	size := (g.hidden + 1) * p.w
	return p.states[i%g.stateSlots()*size:][:size]
}

// forward advances a piece from its first step to its last.
func (g *gruRun[T]) forward(p *gruPiece[T]) {
	h, w := g.hidden, p.w
	size := h * w
	tmp, done := scratch[T](size)
	defer done()
	tmp = tmp[:size]
	for i := range min(g.stateSlots(), p.longest+1) {
		ones := g.state(p, i)[size:]
		for j := range ones {
			ones[j] = 1
		}
	}
	clear(g.state(p, 0)[:size])
	for i := range p.longest {
		t := g.token(p, i)
		row := p.b0*g.seqLen + t
		n, r, z, q := g.step(p, i)
		before, after := g.state(p, i), g.state(p, i+1)
		x := g.inputs[p.d][row*3*h:]
		kernel.Transpose(r[:2*size:2*size], w, x, g.seqLen*3*h, w, 2*h, false) // r and z, [2H, W]
		kernel.Transpose(n, w, x[2*h:], g.seqLen*3*h, w, h, false)
		clear(q)
		p.product(false, false, 3*h, w, h+1, 1, g.joined(p.d), h+1, before, w, 1, r[:3*size:3*size], w)
		kernel.Sigmoid(r[:2*size:2*size], r[:2*size:2*size])
		kernel.Mul(tmp, r, q)
		kernel.Add(n, n, tmp)
		kernel.Tanh(n, n)
		copy(tmp, before)
		kernel.Axpy(-1, n, tmp)
		kernel.Mul(tmp, z, tmp)
		kernel.Add(after[:size], n, tmp) // n + z (h - n)
		g.mask(p, t, after[:size])
		kernel.Transpose(g.y[row*g.width()+p.d*h:], g.seqLen*g.width(), after, w, h, w, false)
	}
	g.clearRest(p, g.y[p.d*h:], g.width(), h)
}

// width is that of the output.
func (g *gruRun[T]) width() int { return len(g.directions) * g.hidden }

// mask zeroes the columns of x [H, W] of sequences that have no token t: before a
// reversed direction's first step the state is zero, and so is the output after a
// sequence's end.
func (g *gruRun[T]) mask(p *gruPiece[T], t int, x []T) {
	if t < p.shortest {
		return
	}
	for c, n := range g.lengths[p.b0 : p.b0+p.w] {
		if t >= n {
			for j := c; j < len(x); j += p.w {
				x[j] = 0
			}
		}
	}
}

// clearRest zeroes the tokens that no step of a piece reads: the first cols
// columns of their rows of x, which has row stride ld.
func (g *gruRun[T]) clearRest(p *gruPiece[T], x []T, ld, cols int) {
	for b := p.b0; b < p.b0+p.w; b++ {
		for t := p.longest; t < g.seqLen; t++ {
			clear(x[(b*g.seqLen+t)*ld:][:cols])
		}
	}
}
