package convert

import (
	"context"
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// Sizes of an MFA; 0 is a default that depends on the parent.
type Sizes struct {
	NHead   int // m, at least the parent's heads; 0: as many
	HeadDim int // C; 0: twice the parent's head width, if its keys have as much
	QRank   int // Cq; 0: C, or the rank of the parent's queries if that is less
}

// Targets are the kinds of attention that one of a decoder is converted to.
var Targets = []string{"mfa"}

// MFA is a decoder with multi-matrix factorization attention that stands for another decoder.
type MFA struct {
	Before, After task.Score // the parent's on its validation text, and the MFA's
	Layers        []Kept
	Network       recipe.Model // its [model] table
	Session       *model.Session

	parent *saved.Model
}

// ToMFA factorizes the attention of a decoder with kind mha, gqa or mqa, rotary or learned positions; everything else
// stays as it is. It is a start for training, not a replacement: with learned positions, C = all key/value heads
// together and the whole query rank, the MFA computes what its parent does; with rotary positions it does so only for
// one key/value head. task is the parent's, perhaps on other data. Inter-norms are left out, because there are
// none in the parent.
//
// What the projections stand for is weighed by the inputs that they get on calibrationTokens of the training text.
// What cannot be converted is an error that matches train.ErrUsage, or of sizes configs.ErrConfig.
func ToMFA(ctx context.Context, parent *saved.Model, goal task.Task, sizes Sizes) (*MFA, error) {
	if err := convertible(parent); err != nil {
		return nil, task.Refusef("%s: %w", parent.Dir, err)
	}
	network := parent.Config.Model.Dense()
	body := network.Of.(decoder.Config)
	dense := parent.Session.Store().Dense()
	sizes, err := sizes.complete(body)
	if err != nil {
		return nil, task.Refusef("%w", err)
	}
	c := &MFA{parent: parent}
	if c.Before, err = goal.Evaluate(ctx, parent.Session, task.Measure{}); err != nil {
		return nil, err
	}
	roots, err := inputRoots(ctx, network, parent.Dims, dense, goal)
	if err != nil {
		return nil, err
	}
	if err := c.build(ctx, body, dense, roots, sizes); err != nil {
		return nil, err
	}
	c.After, err = goal.Evaluate(ctx, c.Session, task.Measure{})
	return c, err
}

// Write writes the MFA as a checkpoint folder at out, whose parent is the one that it was made from.
func (c *MFA) Write(out string) error {
	return c.parent.Derive(out, c.Network, c.Session.Store(), nil)
}

// convertible says why a model is none that ToMFA converts.
func convertible(l *saved.Model) error {
	body, ok := l.Config.Model.Of.(decoder.Config)
	if !ok {
		return fmt.Errorf("[model] kind = %q; want a decoder", l.Config.Model.Name)
	}
	a := body.Attention
	own, ok := a.Projections()
	if !ok {
		return fmt.Errorf("[model.attention] kind = %q; want mha, gqa or mqa", a.Name)
	}
	switch {
	case own.Bias || own.BiasedOutput():
		return errors.New("[model.attention] bias = true; mfa has no biases: want a model without")
	case own.NormedHeads():
		return errors.New("[model.attention] qk_norm = true; mfa does not normalise heads: want a model without")
	case a.Scaling != nil:
		return errors.New("[model.attention] has a rope_scaling, which a rotation of heads does not keep: want a model without")
	}
	return nil
}

// complete fills in the defaults, and refuses sizes that do not suit the parent.
func (s Sizes) complete(parent decoder.Config) (Sizes, error) {
	a, d := parent.Attention, parent.DModel
	width := a.Dim(d)
	keys, queries := min(a.KVHeads()*width, d), min(a.NHead*width, d)
	if s.NHead == 0 {
		s.NHead = a.NHead
	}
	if s.HeadDim == 0 {
		s.HeadDim = min(2*width, keys)
	}
	if s.QRank == 0 {
		s.QRank = min(s.HeadDim, queries)
	}
	switch most := min(queries, a.NHead*s.HeadDim); {
	case s.NHead < a.NHead:
		return s, fmt.Errorf("%d heads; want at least the parent's %d, since each has a softmax of its own", s.NHead, a.NHead)
	case s.HeadDim < 1 || s.HeadDim > keys:
		return s, fmt.Errorf("heads of width %d; want 1 to %d, the width of all keys of the parent", s.HeadDim, keys)
	case parent.Positions == "rotary" && s.HeadDim%2 != 0:
		return s, fmt.Errorf("heads of width %d; rotary positions need an even width", s.HeadDim)
	case s.QRank < 1 || s.QRank > most:
		return s, fmt.Errorf("queries of rank %d; want 1 to %d, the rank of all the parent's queries", s.QRank, most)
	}
	return s, nil
}

// build makes the converted network: its store has the parent's tensors, and in place of those of attention the factors.
func (c *MFA) build(ctx context.Context, parent decoder.Config, dense *nn.Store, roots []*factor.Matrix, s Sizes) error {
	cfg := parent
	cfg.Attention.OneOf = attention.As(attention.MFA{Factors: attention.Factors{QRank: s.QRank}})
	cfg.Attention.NKVHead, cfg.Attention.NHead, cfg.Attention.HeadDim = 0, s.NHead, s.HeadDim
	c.Network = recipe.ModelOf(cfg)
	store := nn.NewStore(dense.Dtype)
	seed := c.parent.Config.Seed
	var err error
	if c.Session, err = c.Network.NewSession(c.parent.Dims, store, model.Options{Seed: seed}); err != nil {
		return fmt.Errorf("%w: %w", configs.ErrConfig, err)
	}
	for _, name := range store.Names() {
		if from := dense.Get(name); from != nil && from.Shape().Eq(store.Shape(name)) {
			copy(store.Get(name).Float32s(), from.Float32s())
		}
	}
	old := parent.Attention
	width := old.Dim(parent.DModel)
	var r *rotation
	if parent.Positions == "rotary" {
		r = newRotation(width, s.HeadDim, old.Theta, c.parent.Dims.Context)
	}
	for i := range parent.NLayer {
		name := fmt.Sprintf("model.layers.%d.self_attn.", i)
		part := circuits{heads: old.NHead, groups: old.KVHeads(), width: width, root: roots[i]}
		for to, at := range map[string]**factor.Matrix{"q_proj": &part.q, "k_proj": &part.k, "v_proj": &part.v, "o_proj": &part.o} {
			if *at, err = matrix(dense.Get(name + to + ".weight")); err != nil {
				return fmt.Errorf("convert: %s%s: %w", name, to, err)
			}
		}
		f, err := part.factorize(ctx, s, r, rng.New(seed, "convert/"+name, 0))
		if err != nil {
			return fmt.Errorf("convert: layer %d: %w", i, err)
		}
		for to, m := range map[string]*factor.Matrix{"q_proj": f.q, "wq": f.wq, "k_proj": f.k, "v_proj": f.v, "o_proj": f.o} {
			put(store.Get(name+to+".weight"), m)
		}
		c.Layers = append(c.Layers, f.Kept)
	}
	return nil
}

func matrix(t *tensor.Dense) (*factor.Matrix, error) {
	return factor.FromFloat32(t.Shape()[0], t.Shape()[1], t.Float32s())
}

func put(t *tensor.Dense, m *factor.Matrix) {
	for i, x := range m.Data {
		t.Float32s()[i] = float32(x)
	}
}
