package nn

import (
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/op"
)

// Shapes: G blocks of width B on one side of W, V vectors on the other, K atoms, s nonzeros of a vector in a block, S the
// sum of s over the blocks.

// maxAtoms is the most atoms of a dictionary: an index is a byte in memory.
const maxAtoms = 256

// UseKind sets the defaults of a kind, as [configs.Kinded] has it: those of dense_sparse are the recipe that beat low rank
// at equal bytes, one dictionary of 64 atoms of width 16 for the whole matrix.
func (c *LinearConfig) UseKind(kind string) {
	if kind == "dense_sparse" {
		c.Block, c.Atoms, c.Nonzeros, c.Axis, c.Shared = 16, 64, []int{4}, "in", true
	}
}

func (c LinearConfig) validateDenseSparse(r *configs.Report) {
	if c.Block < 1 {
		r.Errorf("block", "is too small; want at least 1")
	}
	if c.Atoms < 1 || c.Atoms > maxAtoms {
		r.Errorf("atoms", "is out of range; want 1 to %d", maxAtoms)
	}
	if len(c.Nonzeros) == 0 {
		r.Errorf("nonzeros", "is missing; want one number for all blocks or one for each")
	}
	for _, s := range c.Nonzeros {
		if s < 1 || s > max(c.Atoms, 1) {
			r.Errorf("nonzeros", "has %d; want 1 to atoms = %d", s, c.Atoms)
			return
		}
	}
}

// Cut is the side of W that a dense_sparse layer cuts into blocks, and the other, which has as many vectors.
func (l Layer) Cut() (side, vectors int) {
	if l.Config.Axis == "out" {
		return l.Out, l.In
	}
	return l.In, l.Out
}

// BlockNonzeros are the nonzeros of a vector in each block of a dense_sparse layer.
func (l Layer) BlockNonzeros() []int {
	side, _ := l.Cut()
	all := make([]int, side/l.Config.Block)
	for g := range all {
		all[g] = l.Config.Nonzeros[g%len(l.Config.Nonzeros)]
	}
	return all
}

// dictionaries is the number of them.
func (l Layer) dictionaries() int {
	if l.Config.Shared {
		return 1
	}
	return len(l.BlockNonzeros())
}

// atoms are a dense_sparse layer's indices, without memory.
func (l Layer) atoms() *Atoms {
	a := &Atoms{K: l.Config.Atoms}
	_, vectors := l.Cut()
	for _, s := range l.BlockNonzeros() {
		a.blocks = append(a.blocks, s*vectors)
	}
	return a
}

// denseSparse is y = x Wᵀ + b with W = [C_1 D_1 | ... | C_G D_G], every row of C_g with exactly s_g entries at fixed places
// (Chand, Prabhu and Kumar 2023, DSFormer; see op.DenseSparseLinear). Blocks cut the inputs of W or, with axis = "out",
// the outputs: then that is Wᵀ.
//
// Parameters: dictionary.weight D [K, B] or, not shared, [G K, B]; sparse.values [S, V]; and the fixed sparse.indices.
// K B (or G K B) + S V values and S V indices.
//
// From scratch each vector uses s atoms of every set as likely, drawn once. Atoms start normally with variance 1/B, so
// that their norm is about 1; values uniformly within sqrt(B / (s in)), s being the mean: the entries of W, sums of s
// products, have variance 1/(3 in) then, like those of a layer that starts within 1/sqrt(in).
type denseSparse struct {
	layer              Layer
	dictionary, values Weight
	atoms              *Atoms
	bias               *Weight

	product, coefficients *Weight // latent; nil: none
}

func newDenseSparse(b *Builder, l Layer, bias *Weight) *denseSparse {
	side, vectors := l.Cut()
	if side%l.Config.Block != 0 {
		panic(&op.ShapeError{Op: "dense_sparse", What: b.Name("weight"), Got: tensor.Shape{l.Out, l.In},
			Want: fmt.Sprintf("a side %q that blocks of %d divide", cmpAxis(l.Config.Axis), l.Config.Block)})
	}
	if n, blocks := len(l.Config.Nonzeros), side/l.Config.Block; n != 1 && n != blocks {
		panic(&op.ShapeError{Op: "dense_sparse", What: b.Name("weight"), Got: tensor.Shape{l.Out, l.In},
			Want: fmt.Sprintf("as many blocks as numbers of nonzeros, which are %d, not %d", n, blocks)})
	}
	rows := 0
	for _, s := range l.BlockNonzeros() {
		rows += s
	}
	mean := float64(rows) / float64(side/l.Config.Block)
	width := float64(l.Config.Block)
	sparse := b.Sub("sparse")
	d := &denseSparse{
		layer: l, bias: bias,
		dictionary: b.Sub("dictionary").Weight("weight", Normal(1/math.Sqrt(width)), l.dictionaries()*l.Config.Atoms, l.Config.Block),
		values:     sparse.Weight("values", Uniform(math.Sqrt(width/(mean*float64(l.In)))), rows, vectors),
		atoms:      sparse.atoms("indices", l),
	}
	d.product, d.coefficients = b.latent(l)
	return d
}

func cmpAxis(axis string) string {
	if axis == "out" {
		return "out"
	}
	return "in"
}

// Forward maps [N, in] to [N, out].
func (l *denseSparse) Forward(x *G.Node) *G.Node {
	return op.DenseSparseLinear(x, op.DenseSparse{
		Dictionary: l.dictionary.Use(), Values: l.values.Use(), Index: l.atoms.Index, Nonzeros: l.layer.BlockNonzeros(),
		Atoms: l.layer.Config.Atoms, Outputs: l.layer.Config.Axis == "out", Bias: l.bias.use(), Mode: l.layer.Config.Mode,
		Product: l.product.use(), Coefficients: l.coefficients.use(),
	})
}

// atoms binds the store's indices of that name, or draws them.
func (b *Builder) atoms(name string, l Layer) *Atoms {
	full := b.Name(name)
	a := l.atoms()
	if have, ok := b.Store.atoms[full]; ok {
		if have.K != a.K || !slices.Equal(have.blocks, a.blocks) {
			panic(&op.ShapeError{Op: "parameter", What: full, Got: tensor.Shape{have.Len()}, Want: fmt.Sprintf("%d indices below %d, in the same blocks", a.Len(), a.K)})
		}
		return have
	}
	b.Store.atomNames = append(b.Store.atomNames, full)
	b.Store.atoms[full] = a
	if b.Store.Virtual {
		return a
	}
	a.Index = make([]uint8, a.Len())
	_, vectors := l.Cut()
	r, first := rng.New(b.opts.Seed, "index/"+full, 0), 0
	for _, s := range l.BlockNonzeros() {
		for i := range vectors {
			chooseAtoms(r, a.Index[first*vectors+i:], vectors, s, a.K)
		}
		first += s
	}
	return a
}

// chooseAtoms draws s of k atoms, every set as likely, in ascending order (Floyd's algorithm), and puts them stride apart.
func chooseAtoms(r *rng.Source, dst []uint8, stride, s, k int) {
	var taken [maxAtoms]bool
	for last := k - s; last < k; last++ {
		c := r.Intn(last + 1)
		if taken[c] {
			c = last
		}
		taken[c] = true
	}
	n := 0
	for c := range k {
		if taken[c] {
			dst[n*stride] = uint8(c)
			n++
		}
	}
}

// checkAtoms is CheckIndices of one dense_sparse layer.
func (s *Store) checkAtoms(layer string) error {
	index := s.atoms[layer+".sparse.indices"].Index
	if index == nil {
		return nil // of a virtual store
	}
	if err := s.layers[layer].checkOccupancy(index); err != nil {
		return fmt.Errorf("nn: %s.sparse.indices: %w", layer, err)
	}
	return nil
}

// checkOccupancy says whether the atoms of each vector of a block are distinct and ascending.
func (l Layer) checkOccupancy(index []uint8) error {
	_, vectors := l.Cut()
	for _, nonzeros := range l.BlockNonzeros() {
		for at := vectors; at < nonzeros*vectors; at++ {
			if index[at] <= index[at-vectors] {
				return fmt.Errorf("a vector of a block has atom %d after %d, want ascending numbers", index[at], index[at-vectors])
			}
		}
		index = index[nonzeros*vectors:]
	}
	return nil
}

// CheckPacked says whether the indices of a dense_sparse layer, as a checkpoint holds them, give every vector of a block
// exactly as many different atoms as the layer says.
func (l Layer) CheckPacked(packed []uint8) error {
	a := l.atoms()
	a.Index = make([]uint8, a.Len())
	if err := a.Unpack(packed); err != nil {
		return err
	}
	return l.checkOccupancy(a.Index)
}

// denseSparseProduct is the weight [Out, In] that a dense_sparse layer stands for.
func (s *Store) denseSparseProduct(layer string) []float64 {
	l := s.layers[layer]
	d, values, index := s.float64s(layer+".dictionary.weight"), s.float64s(layer+".sparse.values"), s.atoms[layer+".sparse.indices"].Index
	w, b := make([]float64, l.Out*l.In), l.Config.Block
	_, vectors := l.Cut()
	at := 0
	for g, nonzeros := range l.BlockNonzeros() {
		atoms := d
		if !l.Config.Shared {
			atoms = d[g*l.Config.Atoms*b:]
		}
		for range nonzeros {
			for i := range vectors {
				atom := atoms[int(index[at])*b:][:b]
				for j, x := range atom {
					if l.Config.Axis == "out" {
						w[(g*b+j)*l.In+i] += values[at] * x
					} else {
						w[i*l.In+g*b+j] += values[at] * x
					}
				}
				at++
			}
		}
	}
	return w
}
