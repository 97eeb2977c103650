package main

import (
	"fmt"
	"os"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/op"
)

// factors say how SLTrain represents linear layers (Han et al. 2024): W = alpha/rank B A + S.
type factors struct {
	Rank    int     `json:"rank"`
	Alpha   float64 `json:"alpha"`
	Density float64 `json:"density"`
}

// linear is the layers' representation. B starts at random values, so that no gradient is zero.
func (f factors) linear(match string) nn.Rule {
	return nn.Rule{Match: match, OneOf: nn.As(nn.SLTrain{Rank: f.Rank, Alpha: f.Alpha, Density: f.Density, UpInit: "uniform"})}
}

// layerConfig is one linear layer and its input [N, In].
type layerConfig struct {
	N   int `json:"n"`
	In  int `json:"in"`
	Out int `json:"out"`
	factors
}

func (c layerConfig) String() string {
	return fmt.Sprintf("%dx%dx%d/r%d", c.N, c.In, c.Out, c.Rank)
}

// layers are those of the paper's 60M and 130M networks, at 4,096 tokens: of attention, into the MLP and out of it.
var layers = []layerConfig{
	{4096, 512, 512, factors{128, 32, 0.03}}, {4096, 512, 1376, factors{128, 32, 0.03}}, {4096, 1376, 512, factors{128, 32, 0.03}},
	{4096, 768, 768, factors{256, 16, 0.03}}, {4096, 768, 2048, factors{256, 16, 0.03}}, {4096, 2048, 768, factors{256, 16, 0.03}},
}

// lossStride is how far apart the rows are whose cross-entropy is the loss: so few that it costs nothing beside the layer.
const lossStride = 64

// layer is a layer with a loss, ready to run.
type layer struct {
	store  *nn.Store
	grads  *nn.Gradients
	tape   *op.Tape
	loss   *G.Node
	vm     G.VM
	params []string // what has a gradient, in the order of reply.Norms

	rows, targets []int // that have a loss
}

// startLayer has a tape and a store for a layer with these parameters.
func startLayer(params []string) *layer {
	l := &layer{store: nn.NewStore(tensor.Float32), tape: op.NewTape(tensor.Float32, true), params: params}
	l.grads = nn.NewGradients(l.store)
	return l
}

// finish adds the loss to the layer's output y [n, out] and makes it ready to run.
func (l *layer) finish(y *G.Node) error {
	for i := 0; i < y.Shape()[0]; i += lossStride {
		l.rows, l.targets = append(l.rows, i), append(l.targets, i%y.Shape()[1])
	}
	ints := func(name string, v []int) *G.Node {
		return l.tape.Input(name, tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v)))
	}
	l.loss = op.CrossEntropy(l.tape, op.Rows(l.tape, y, ints("rows", l.rows)), ints("targets", l.targets))
	if err := l.tape.Backward(l.loss); err != nil {
		return err
	}
	plan, err := l.tape.Plan(false, l.loss)
	if err != nil {
		return err
	}
	plan.Bind(&op.Arena{})
	l.vm = G.NewTapeMachine(l.tape.Graph)
	return nil
}

// layerParams are those of an SLTrain layer.
var layerParams = []string{"x", "layer.down.weight", "layer.up.weight", "layer.sparse.values"}

// newLayer builds it from seed 1.
func newLayer(c layerConfig) (*layer, error) {
	if c.N < 1 || c.In < 1 || c.Out < 1 || c.Rank < 1 {
		return nil, fmt.Errorf("layer: n, in, out, rank = %d, %d, %d, %d; want 1 or more", c.N, c.In, c.Out, c.Rank)
	}
	l := startLayer(layerParams)
	b := nn.NewBuilder(l.tape, l.store, nn.Options{Seed: 1, Sink: l.grads, Linear: []nn.Rule{c.linear("*")}})
	x := op.Value(b.Weight("x", nn.Normal(1), c.N, c.In).Use())
	y := nn.NewLinear(b.Sub("layer"), c.In, c.Out, false, nn.Normal(1)).Forward(x) // [N, Out]
	return l, l.finish(y)
}

// run times forward and backward passes.
func (l *layer) run(n int) (reply, error) {
	var r reply
	for range n {
		began := time.Now()
		if err := l.tape.Run(l.vm); err != nil {
			return r, err
		}
		r.Seconds = append(r.Seconds, time.Since(began).Seconds())
	}
	r.Loss = float64(l.loss.Value().(*tensor.Dense).Float32s()[0])
	for _, name := range l.params {
		g := l.grads.Get(name).Float32s()
		r.Norms = append(r.Norms, kernel.SumSquares(g))
	}
	return r, nil
}

// write makes the file from which the peer has the same layer, with more arrays.
func (l *layer) write(more ...checkpoints.Array) (path string, done func(), err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return "", nil, err
	}
	arrays := append(more,
		checkpoints.Array{Name: "rows", Shape: []int{len(l.rows)}, Data: int32s(l.rows)},
		checkpoints.Array{Name: "targets", Shape: []int{len(l.targets)}, Data: int32s(l.targets)})
	for _, name := range l.params {
		d := l.store.Get(name)
		arrays = append(arrays, checkpoints.Array{Name: name, Shape: d.Shape(), Data: d.Float32s()})
	}
	folder := dir + "/layer"
	err = checkpoints.Write(folder, checkpoints.Contents{Kind: "layer", Arrays: map[string][]checkpoints.Array{"model.npz": arrays}})
	return folder + "/model.npz", func() { os.RemoveAll(dir) }, err
}

// places says, for the peer, which entries of W the sparse values are.
func (l *layer) places() checkpoints.Array {
	places := l.store.Index("layer.sparse.indices")
	return checkpoints.Array{Name: "places", Shape: []int{len(places)}, Data: places}
}

func int32s(x []int) []int32 {
	y := make([]int32, len(x))
	for i, v := range x {
		y[i] = int32(v)
	}
	return y
}
