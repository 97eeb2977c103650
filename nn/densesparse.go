package nn

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/op"
)

// Shapes: G blocks of width B on one side of W, V vectors on the other, K atoms, s nonzeros of a vector in a block, S the
// sum of s over the blocks.

// maxAtoms is the most atoms of a dictionary: an index is a byte in memory.
const maxAtoms = 256

// DenseSparse is y = x Wᵀ + b with W = [C_1 D_1 | ... | C_G D_G], every row of C_g with exactly s_g entries at fixed places
// (Chand, Prabhu and Kumar 2023, DSFormer; see op.DenseSparseLinear). Blocks cut the inputs of W or, with axis = "out",
// the outputs: then that is Wᵀ.
//
// Parameters: dictionary.weight D [K, B] or, not shared, [G K, B]; sparse.values [S, V]; and the fixed sparse.indices.
// K B (or G K B) + S V values and S V indices.
//
// From scratch each vector uses s atoms of every set as likely, drawn once. Atoms start normally with variance 1/B, so
// that their norm is about 1; values uniformly within sqrt(B / (s in)), s being the mean: the entries of W, sums of s
// products, have variance 1/(3 in) then, like those of a layer that starts within 1/sqrt(in).
type DenseSparse struct {
	Mode     string `toml:"mode" json:"-" doc:"how the layer is computed; empty: whichever costs less by shape" choices:"|materialized|factored"`
	Block    int    `toml:"block" json:"block" doc:"B, width of a block, which divides the cut side" unit:"neurons"`
	Atoms    int    `toml:"atoms" json:"atoms" doc:"K of a dictionary, up to 256"`
	Nonzeros []int  `toml:"nonzeros" json:"nonzeros" doc:"s, atoms that each vector of a block uses: one number, or one for each block"`
	Axis     string `toml:"axis" json:"-" doc:"side of W that is cut into blocks; empty: in, whose products are faster" choices:"|in|out"`
	Shared   bool   `toml:"shared" json:"-" doc:"one dictionary for all blocks"`
}

// defaultDenseSparse is the recipe that beat low rank at equal bytes, one dictionary of 64 atoms of width 16 for the whole
// matrix.
func defaultDenseSparse() DenseSparse {
	return DenseSparse{Block: 16, Atoms: 64, Nonzeros: []int{4}, Axis: "in", Shared: true}
}

// Validate implements Kind.
func (k DenseSparse) Validate(r *configs.Report) {
	r.OneOf("mode")
	r.OneOf("axis")
	r.AtLeast("block", 1)
	r.Within("atoms", k.Atoms >= 1 && k.Atoms <= maxAtoms, fmt.Sprintf("1 to %d", maxAtoms))
	if len(k.Nonzeros) == 0 {
		r.Errorf("nonzeros", "is missing; want one number for all blocks or one for each")
	}
	for _, s := range k.Nonzeros {
		if s < 1 || s > max(k.Atoms, 1) {
			r.Errorf("nonzeros", "has %d; want 1 to atoms = %d", s, k.Atoms)
			return
		}
	}
}

// Fits implements Fitted.
func (k DenseSparse) Fits(in, out int) string {
	side, _ := k.Cut(in, out)
	if side%k.Block != 0 {
		return fmt.Sprintf("a side %q that blocks of %d divide", k.axis(), k.Block)
	}
	if n, blocks := len(k.Nonzeros), side/k.Block; n != 1 && n != blocks {
		return fmt.Sprintf("as many blocks as numbers of nonzeros, which are %d, not %d", n, blocks)
	}
	return ""
}

func (k DenseSparse) axis() string {
	if k.Axis == "out" {
		return "out"
	}
	return "in"
}

// Cut is the side of W that is cut into blocks, and the other, which has as many vectors.
func (k DenseSparse) Cut(in, out int) (side, vectors int) {
	if k.Axis == "out" {
		return out, in
	}
	return in, out
}

// BlockNonzeros are the nonzeros of a vector in each block.
func (k DenseSparse) BlockNonzeros(in, out int) []int {
	side, _ := k.Cut(in, out)
	return k.nonzeros(side / k.Block)
}

func (k DenseSparse) nonzeros(blocks int) []int {
	all := make([]int, blocks)
	for g := range all {
		all[g] = k.Nonzeros[g%len(k.Nonzeros)]
	}
	return all
}

// blocksIn is the number of blocks of which sparse values have so many rows.
func (k DenseSparse) blocksIn(rows int) int {
	if len(k.Nonzeros) == 1 {
		return rows / k.Nonzeros[0]
	}
	return len(k.Nonzeros)
}

// dictionaries is the number of them.
func (k DenseSparse) dictionaries(blocks int) int {
	if k.Shared {
		return 1
	}
	return blocks
}

// Layout implements Kind.
func (k DenseSparse) Layout(in, out int) Layout {
	side, vectors := k.Cut(in, out)
	nonzeros, rows := k.BlockNonzeros(in, out), 0
	for _, s := range nonzeros {
		rows += s
	}
	mean, width := float64(rows)/float64(side/k.Block), float64(k.Block)
	return Layout{[]Spec{
		{Name: "dictionary.weight", Shape: []int{k.dictionaries(len(nonzeros)) * k.Atoms, k.Block}, Init: Normal(1 / math.Sqrt(width)), Rounds: true},
		{Name: "sparse.values", Shape: []int{rows, vectors}, Init: Uniform(math.Sqrt(width / (mean * float64(in)))), Rounds: true},
		{Name: "sparse.indices", Atoms: newAtoms(k.Atoms, nonzeros, vectors)},
	}, side*k.Atoms + rows*vectors}
}

// New implements Kind.
func (k DenseSparse) New(w Weights, bias *Weight) Linear {
	d := &denseSparse{k: k, dictionary: w["dictionary.weight"], values: w["sparse.values"], atoms: w["sparse.indices"].Atoms(), bias: bias}
	rows, vectors := d.values.shape[0], d.values.shape[1]
	d.nonzeros = k.nonzeros(k.blocksIn(rows))
	d.product, d.coefficients = d.values.b.latent(len(d.nonzeros), k.Block, k.Atoms, vectors)
	return d
}

type denseSparse struct {
	k                  DenseSparse
	nonzeros           []int
	dictionary, values Weight
	atoms              *Atoms
	bias               *Weight

	product, coefficients *Weight // latent; nil: none
}

// Forward maps [N, in] to [N, out].
func (l *denseSparse) Forward(x *G.Node) *G.Node {
	return op.DenseSparseLinear(x, op.DenseSparse{
		Dictionary: l.dictionary.Use(), Values: l.values.Use(), Index: l.atoms.Index, Nonzeros: l.nonzeros,
		Atoms: l.k.Atoms, Outputs: l.k.Axis == "out", Bias: l.bias.use(), Mode: l.k.Mode,
		Product: l.product.use(), Coefficients: l.coefficients.use(),
	})
}

// Matrix implements Kind.
func (k DenseSparse) Matrix(w map[string]Array) []float64 {
	d, values, index := w["dictionary.weight"].Float64s(), w["sparse.values"].Float64s(), w["sparse.indices"].Data.([]uint8)
	rows, vectors := w["sparse.values"].Shape[0], w["sparse.values"].Shape[1]
	nonzeros, b := k.nonzeros(k.blocksIn(rows)), k.Block
	m := make([]float64, len(nonzeros)*b*vectors)
	at := 0
	for g, s := range nonzeros {
		atoms := d
		if !k.Shared {
			atoms = d[g*k.Atoms*b:]
		}
		for range s {
			for i := range vectors {
				atom := atoms[int(index[at])*b:][:b]
				for j, x := range atom {
					if k.Axis == "out" {
						m[(g*b+j)*vectors+i] += values[at] * x
					} else {
						m[i*len(nonzeros)*b+g*b+j] += values[at] * x
					}
				}
				at++
			}
		}
	}
	return m
}

// STF gives dense_sparse layers latent values, as the Straight-Through Factorizer wants them: parameters of a store of their own,
// which a layer does not compute with and to which it passes a gradient straight through (see op.DenseSparse). Whoever trains them
// makes C and D of them. A layer's latent values have its name and ".latent", and are created as zeros.
type STF struct {
	Store        *Store
	Sink         op.Sink                 // receives their gradients
	Match        func(layer string) bool // which layers have them
	Coefficients bool                    // of all atoms, [G V, K]; false: of the product C D, [V, G B]
}

// Latent is the name of a layer's latent values.
func Latent(layer string) string { return layer + ".latent" }

// latent binds the latent values of the layer b.Name(""), of which there are of one kind or none.
func (b *Builder) latent(blocks, width, atoms, vectors int) (product, coefficients *Weight) {
	s := b.opts.STF
	if s == nil || !s.Match(b.prefix) {
		return nil, nil
	}
	own := &Builder{Tape: b.Tape, Store: s.Store, opts: &Options{Sink: s.Sink}}
	if s.Coefficients {
		w := own.Weight(Latent(b.prefix), Constant(0), blocks*vectors, atoms)
		return nil, &w
	}
	w := own.Weight(Latent(b.prefix), Constant(0), vectors, blocks*width)
	return &w, nil
}
