package compress

import (
	"context"
	"fmt"
	"slices"

	"sparrow/configs"
	"sparrow/factor"
	"sparrow/nn"
)

// DSFormerConfig is the [compress.dsformer] table.
type DSFormerConfig struct {
	Block    int    `toml:"block" doc:"b, width of a block, which divides the cut side of each layer"`
	Atoms    []int  `toml:"atoms" doc:"K of a dictionary, up to 256; of several the planner chooses for each layer"`
	Nonzeros []int  `toml:"nonzeros" doc:"least and most atoms that a vector of a block uses; none: 1 to block"`
	Axis     string `toml:"axis" doc:"side of W that is cut into blocks; the products are faster with in" choices:"in|out"`
	Shared   bool   `toml:"shared" doc:"one dictionary for all blocks of a layer, or one for each"`
	Sweeps   int    `toml:"sweeps" doc:"of K-SVD"`
	Weights  string `toml:"weights" doc:"what weighs errors: fisher, on the sides that row says, or none" choices:"fisher|none"`
}

// Validate reports what no layer can be.
func (c DSFormerConfig) Validate(r *configs.Report) {
	const maxAtoms = 256 // an index is a byte in memory
	r.AtLeast("block", 1)
	if len(c.Atoms) == 0 {
		r.Errorf("atoms", "is empty; want one number, or several to choose from")
	}
	least := maxAtoms
	for i, k := range c.Atoms {
		if k < 1 || k > maxAtoms || slices.Contains(c.Atoms[:i], k) {
			r.Errorf("atoms", "has %d; want different numbers from 1 to %d", k, maxAtoms)
			return
		}
		least = min(least, k)
	}
	if n := c.Nonzeros; len(n) > 0 && !(len(n) == 2 && 1 <= n[0] && n[0] <= n[1] && n[0] <= least) {
		r.Errorf("nonzeros", "is no range; want the least and the most atoms of a vector, from 1 on, the least not above atoms")
	}
	r.OneOf("axis")
	if c.Sweeps < 0 {
		r.Errorf("sweeps", "is negative; want 0 or more")
	}
	r.OneOf("weights")
}

// DSFormer writes a weight as dense times semi-structured sparse (Chand, Prabhu and Kumar 2023, DSFormer), see
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
type DSFormer struct {
	DSFormerConfig
	Row   string  // sides that are weighted: in | out | both
	Floor float64 // added to weights over their mean
	Unit  string  // of the budget, in which options of several K compete
}

func newDSFormer(c Settings) Method { return DSFormer{c.DSFormer, c.Row, c.Floor, c.budget(nil).Unit} }

// learnAt is the number of nonzeros at which atoms are learned.
func (c DSFormerConfig) learnAt(atoms int) int { return min(max(1, c.Block/8), atoms) }

// Needs implements Method.
func (d DSFormer) Needs() Needs { return Needs{Fisher: d.Weights == "fisher"} }

// Fits implements Candidate: blocks divide the side that they cut.
func (d DSFormer) Fits(t Target) bool { return d.side(t)%d.Block == 0 }

// Options implements Method: all numbers of nonzeros at which the factors are smaller than the matrix.
func (d DSFormer) Options(ctx context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	x, err := d.blocks(t, s)
	if err != nil {
		return nil, nil, err
	}
	all := []Option{dense(t)}
	for _, atoms := range d.Atoms {
		sizes, err := d.sizes(t, atoms)
		if err != nil {
			return nil, nil, err
		}
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
		all = mergeOptions(append(sizes, dense(t)), all, Budget{Unit: d.Unit}.cost)
	}
	return all[:len(all)-1], nil, nil // without the dense one
}

// sizes are the options of so many atoms, ascending, without their losses.
func (d DSFormer) sizes(t Target, atoms int) ([]Option, error) {
	blocks, least, most := d.side(t)/d.Block, 1, min(d.Block, atoms)
	if len(d.Nonzeros) > 0 {
		least, most = d.Nonzeros[0], min(d.Nonzeros[1], atoms)
	}
	var out []Option
	for n := blocks * least; n <= blocks*most; n++ {
		o := Option{Atoms: atoms, Blocks: blocks, Nonzeros: n}
		linear, err := d.Linear(t, o)
		if err != nil {
			return nil, err
		}
		size := t.size(linear)
		if o.Params, o.Bytes = size.Params, size.Bytes; o.Bytes >= valueBytes*t.DenseParams() {
			break
		}
		out = append(out, o)
	}
	return out, nil
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

// Linear implements Method.
func (d DSFormer) Linear(t Target, o Option) (nn.Rule, error) {
	if o.Atoms < 1 || o.Blocks < 1 || o.Blocks*d.Block != d.side(t) || o.Nonzeros < o.Blocks || o.Nonzeros > o.Blocks*o.Atoms {
		return nn.Rule{}, fmt.Errorf("%s cannot become %s, %d blocks of %d atoms with %d nonzeros", t.Name, o.Method, o.Blocks, o.Atoms, o.Nonzeros)
	}
	nonzeros := o.blockNonzeros()
	if o.Nonzeros%o.Blocks == 0 {
		nonzeros = nonzeros[:1]
	}
	return nn.Rule{OneOf: nn.As(nn.DenseSparse{Block: d.Block, Atoms: o.Atoms, Nonzeros: nonzeros, Axis: d.Axis, Shared: d.Shared})}, nil
}

// Apply implements Method.
func (d DSFormer) Apply(ctx context.Context, t Target, s *Statistics, o Option) (*Form, error) {
	linear, err := d.Linear(t, o)
	if err != nil {
		return nil, err
	}
	x, err := d.blocks(t, s)
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
	return DenseSparseForm(dictionaries, codes, linear), nil
}

// side is the length of what is cut into blocks.
func (d DSFormer) side(t Target) int {
	if d.Axis == "out" {
		return t.Out
	}
	return t.In
}
