package compress

import (
	"context"
	"fmt"

	"sparrow/factor"
	"sparrow/nn"
)

// dsformer writes a weight as dense times semi-structured sparse (Chand, Prabhu and Kumar 2023, DSFormer), see
// factor.DenseSparse: the vectors of a block of b inputs, one for each output, or with axis "out" of b outputs, one for each
// input, are sums of s of K atoms. Options differ by one nonzero of one block, and blocks have as many as each other or one
// more: to give more to those that gain most was worth less than 1% of the loss on trained decoders.
//
// Atoms are learned once for each K, by coding with few of them, an eighth of the block's width; then one pursuit of every
// vector tells what each number of nonzeros leaves. On trained decoders atoms learned at the number that they are used at
// were no better, and left up to a fifth more.
//
// With weights "fisher" codes are those of the least weighted error that pursuit finds. Atoms that blocks share are learned
// under the weights of vectors and the mean weight of each block, those of one block under all weights.
type dsformer struct{ cfg Settings }

// learnAt is the number of nonzeros at which atoms are learned.
func (c DSFormerConfig) learnAt(atoms int) int { return min(max(1, c.Block/8), atoms) }

func (d dsformer) needs() needs { return needs{fisher: d.cfg.DSFormer.Weights == "fisher"} }

// options are all numbers of nonzeros at which the factors are smaller than the matrix.
func (d dsformer) options(ctx context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error) {
	x, err := d.blocks(t, w, s)
	if err != nil {
		return nil, nil, err
	}
	all := []Option{dense(t)}
	for _, atoms := range d.cfg.DSFormer.Atoms {
		sizes := d.sizes(t, atoms)
		if len(sizes) == 0 {
			continue
		}
		dictionaries, err := d.learn(ctx, x, atoms)
		if err != nil {
			return nil, nil, fmt.Errorf("compress: %s: %w", t.Name, err)
		}
		most := sizes[len(sizes)-1].Nonzeros/x.count() + 1
		losses, err := x.losses(ctx, dictionaries, min(most, atoms))
		if err != nil {
			return nil, nil, fmt.Errorf("compress: %s: %w", t.Name, err)
		}
		for i := range sizes {
			for g, s := range sizes[i].blockNonzeros() {
				sizes[i].Loss += losses[g][s]
			}
		}
		all = mergeOptions(append(sizes, dense(t)), all, d.cfg.cost)
	}
	return all, nil, nil
}

// sizes are the options of so many atoms, ascending, without their losses.
func (d dsformer) sizes(t Target, atoms int) []Option {
	c := d.cfg.DSFormer
	blocks, least, most := d.side(t)/c.Block, 1, min(c.Block, atoms)
	if len(c.Nonzeros) > 0 {
		least, most = c.Nonzeros[0], min(c.Nonzeros[1], atoms)
	}
	var out []Option
	for n := blocks * least; n <= blocks*most; n++ {
		o := Option{Method: "dsformer", Atoms: atoms, Blocks: blocks, Nonzeros: n}
		l := nn.Layer{Kind: "dense_sparse", Out: t.Out, In: t.In, Config: c.linear(o)}
		o.Params = l.Parameters()
		if o.Bytes = valueBytes*o.Params + l.IndexBytes(); o.Bytes >= valueBytes*t.DenseParams() {
			break
		}
		out = append(out, o)
	}
	return out
}

// blockNonzeros are those of a vector in each block: as many everywhere, and one more in the first blocks.
func (o Option) blockNonzeros() []int {
	n := make([]int, o.Blocks)
	for g := range n {
		n[g] = o.Nonzeros / o.Blocks
		if g < o.Nonzeros%o.Blocks {
			n[g]++
		}
	}
	return n
}

// linear is the [[model.linear]] table of a layer that becomes an option, without its name.
func (c DSFormerConfig) linear(o Option) nn.LinearConfig {
	nonzeros := o.blockNonzeros()
	if o.Nonzeros%o.Blocks == 0 {
		nonzeros = nonzeros[:1]
	}
	return nn.LinearConfig{Kind: "dense_sparse", Block: c.Block, Atoms: o.Atoms, Nonzeros: nonzeros, Axis: c.Axis, Shared: c.Shared}
}

func (d dsformer) apply(ctx context.Context, t Target, w *factor.Matrix, s *Statistics, o Option) (*Form, error) {
	x, err := d.blocks(t, w, s)
	if err != nil {
		return nil, err
	}
	dictionaries, err := d.learn(ctx, x, o.Atoms)
	if err != nil {
		return nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	codes, err := x.code(ctx, dictionaries, o.blockNonzeros())
	if err != nil {
		return nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	return denseSparseForm(dictionaries, codes, d.cfg.DSFormer.linear(o)), nil
}

// divides tells whether blocks fit the layer.
func (d dsformer) divides(t Target) bool { return d.side(t)%d.cfg.DSFormer.Block == 0 }

func (d dsformer) side(t Target) int {
	if d.cfg.DSFormer.Axis == "out" {
		return t.Out
	}
	return t.In
}
