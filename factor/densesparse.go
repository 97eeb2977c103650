package factor

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"sparrow/kernel"
)

// Axis is the side of a weight W [out, in] that is cut into blocks.
type Axis int

// The axes.
const (
	// AxisOut cuts the outputs: a block is a slice of them, such as a head, and has one code for each input.
	AxisOut Axis = iota
	// AxisIn cuts the inputs: a block has one code for each output.
	AxisIn
)

// DenseSparseConfig says how DenseSparse works.
type DenseSparseConfig struct {
	Block int  // b, the width of a block; divides the axis
	Atoms int  // K, atoms of a dictionary; may exceed Block
	Axis  Axis // which side is cut
	// Nonzeros are the coefficients of each vector of a block: one number for all blocks or one for each.
	Nonzeros []int
	// Shared has one dictionary for the whole matrix instead of one for each block.
	Shared   bool
	Sweeps   int // of coding and update, before the last coding
	Update   Update
	MinUsers int    // see LearnConfig
	Seed     uint64 // of the first atoms
}

// DenseSparseFactors are W ~ [C_1 D_1 | C_2 D_2 | ...], cut along an axis: for AxisIn that is W [out, in], for AxisOut its
// transpose.
type DenseSparseFactors struct {
	Rows, Cols   int // of W
	Axis         Axis
	Block        int
	Dictionaries []*Matrix // one for each block, or one that all share; [K, b], atoms of unit norm
	Codes        []*Codes  // one for each block, over the vectors of the other side
	Error        float64   // ||W - product||_F
}

// Dictionary returns that of block g.
func (f *DenseSparseFactors) Dictionary(g int) *Matrix {
	if len(f.Dictionaries) == 1 {
		return f.Dictionaries[0]
	}
	return f.Dictionaries[g]
}

// Product returns the matrix that the factors stand for, [Rows, Cols].
func (f *DenseSparseFactors) Product() *Matrix {
	cut := NewMatrix(f.Codes[0].Vectors, len(f.Codes)*f.Block) // vectors by the cut side
	for g, c := range f.Codes {
		p := c.Product(f.Dictionary(g))
		for i := range p.Rows {
			copy(cut.Row(i)[g*f.Block:], p.Row(i))
		}
	}
	if f.Axis == AxisOut {
		return cut.Transpose()
	}
	return cut
}

// Bytes returns the stored size for values of so many bytes: sum over blocks of n s (v + ceil(log2 K)/8), and K b v a
// dictionary. The bits of each block's indices are rounded up to a byte.
func (f *DenseSparseFactors) Bytes(value int) int {
	total := 0
	for _, d := range f.Dictionaries {
		total += len(d.Data) * value
	}
	for g, c := range f.Codes {
		width := bits.Len(uint(f.Dictionary(g).Rows - 1))
		total += len(c.Values)*value + (len(c.Values)*width+7)/8
	}
	return total
}

// DenseSparse factorizes w [out, in] block by block into sparse coefficients times a small dense dictionary,
//
//	W_g ~ C_g D_g,  C_g [n, K] with exactly s nonzeros in each row,  D_g [K, b]
//
// by orthogonal matching pursuit and dictionary updates (Chand, Prabhu and Kumar 2023, DSFormer; the procedure is that of
// LearnDictionary). Low rank makes every row use all K atoms; here each chooses s of them, a union of subspaces. With a
// shared dictionary all blocks together are one set of vectors.
//
// A warm start continues from earlier factors of the same layout. A block that does not divide its side, a number of
// nonzeros outside 1 to Atoms, or warm factors of another layout are ErrShape.
func DenseSparse(ctx context.Context, w *Matrix, cfg DenseSparseConfig, warm *DenseSparseFactors, progress Progress) (*DenseSparseFactors, error) {
	const where = "dense-sparse"
	if err := w.check(where); err != nil {
		return nil, err
	}
	if cfg.Axis != AxisOut && cfg.Axis != AxisIn {
		return nil, fmt.Errorf("factor: %s: %w: got axis %d, want AxisOut or AxisIn", where, ErrShape, cfg.Axis)
	}
	cut := w
	if cfg.Axis == AxisOut {
		cut = w.Transpose()
	}
	if cfg.Block < 1 || cut.Cols%cfg.Block != 0 {
		return nil, fmt.Errorf("factor: %s: %w: blocks of %d do not divide the side of %d", where, ErrShape, cfg.Block, cut.Cols)
	}
	n, blocks := cut.Rows, cut.Cols/cfg.Block
	if len(cfg.Nonzeros) != 1 && len(cfg.Nonzeros) != blocks {
		return nil, fmt.Errorf("factor: %s: %w: got %d numbers of nonzeros for %d blocks, want 1 or one a block", where, ErrShape, len(cfg.Nonzeros), blocks)
	}
	learn := make([]LearnConfig, blocks)
	for g := range learn {
		learn[g] = LearnConfig{Atoms: cfg.Atoms, Nonzeros: cfg.Nonzeros[g%len(cfg.Nonzeros)], Sweeps: cfg.Sweeps, Update: cfg.Update, MinUsers: cfg.MinUsers, Seed: cfg.Seed + uint64(g)}
		if err := learn[g].check(where); err != nil {
			return nil, err
		}
	}
	if warm != nil {
		if err := cfg.checkWarm(where, w, blocks, warm); err != nil {
			return nil, err
		}
	}
	// The blocks' vectors, one block after the other.
	stacked := NewMatrix(blocks*n, cfg.Block)
	for g := range blocks {
		for i := range n {
			copy(stacked.Row(g*n+i), cut.Row(i)[g*cfg.Block:(g+1)*cfg.Block])
		}
	}
	exponent := normalise(stacked)
	j := &job{ctx: ctx, progress: progress, total: (cfg.Sweeps + 1) * stacked.Rows}
	f := &DenseSparseFactors{Rows: w.Rows, Cols: w.Cols, Axis: cfg.Axis, Block: cfg.Block}
	width := 1 // blocks that share a dictionary
	if cfg.Shared {
		width = blocks
	}
	for g := 0; g < blocks; g += width {
		l := &learner{j: j, cfg: learn[g], exponent: exponent, x: &Matrix{width * n, cfg.Block, stacked.Data[g*n*cfg.Block : (g+width)*n*cfg.Block]}}
		for k := range width {
			l.groups = append(l.groups, newCodes(n, learn[g+k].Nonzeros))
		}
		var codes []*Codes
		if warm != nil {
			l.dictionary = warm.Dictionaries[g/width].Clone()
			codes = warm.Codes[g : g+width]
		}
		if err := l.learn(codes); err != nil {
			return nil, err
		}
		f.Dictionaries = append(f.Dictionaries, l.dictionary)
		f.Codes = append(f.Codes, l.groups...)
		f.Error = math.Hypot(f.Error, l.error)
	}
	j.finish()
	return f, nil
}

// checkWarm says whether earlier factors have this layout.
func (cfg DenseSparseConfig) checkWarm(where string, w *Matrix, blocks int, warm *DenseSparseFactors) error {
	dictionaries := blocks
	if cfg.Shared {
		dictionaries = 1
	}
	if warm.Rows != w.Rows || warm.Cols != w.Cols || warm.Axis != cfg.Axis || warm.Block != cfg.Block || len(warm.Codes) != blocks || len(warm.Dictionaries) != dictionaries {
		return fmt.Errorf("factor: %s: %w: the warm start has another layout", where, ErrShape)
	}
	vector := &Matrix{Cols: cfg.Block}
	for _, d := range warm.Dictionaries {
		if d == nil || d.Rows != cfg.Atoms {
			return fmt.Errorf("factor: %s: %w: the warm start has a dictionary that is not one of %d atoms", where, ErrShape, cfg.Atoms)
		}
		if err := checkDictionary(where, vector, d, 1); err != nil {
			return err
		}
	}
	return nil
}

// Refit returns the factors with the coefficients that are best for w on the same support and dictionaries. It is what a
// change of w costs when nothing is searched: a least-squares problem of s unknowns a vector. Error is measured.
func (f *DenseSparseFactors) Refit(ctx context.Context, w *Matrix) (*DenseSparseFactors, error) {
	const where = "dense-sparse refit"
	if err := w.check(where); err != nil {
		return nil, err
	}
	if w.Rows != f.Rows || w.Cols != f.Cols {
		return nil, fmt.Errorf("factor: %s: %w: got %d x %d for factors of %d x %d", where, ErrShape, w.Rows, w.Cols, f.Rows, f.Cols)
	}
	cut := w
	if f.Axis == AxisOut {
		cut = w.Transpose()
	}
	r := &DenseSparseFactors{Rows: f.Rows, Cols: f.Cols, Axis: f.Axis, Block: f.Block, Dictionaries: f.Dictionaries}
	for g, old := range f.Codes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c := newCodes(old.Vectors, old.Nonzeros)
		copy(c.Index, old.Index)
		refit(cut, g*f.Block, f.Dictionary(g), c)
		r.Codes = append(r.Codes, c)
	}
	left := r.Product()
	kernel.Axpy(-1, w.Data, left.Data)
	r.Error = left.Norm()
	return r, nil
}

// refit sets the coefficients of each vector x[i, at:at+b] to the least-squares ones on its support. Atoms that depend on
// others get what a slight damping leaves them.
func refit(x *Matrix, at int, dictionary *Matrix, c *Codes) {
	const damping = 1e-12
	s := c.Nonzeros
	kernel.Ranges(c.Vectors, codeGrain, func(lo, hi int) {
		normal := make([]float64, s*s)
		for i := lo; i < hi; i++ {
			index, values := c.row(i)
			v := x.Row(i)[at : at+dictionary.Cols]
			for t, k := range index {
				for u, m := range index[:t+1] {
					normal[t*s+u] = kernel.Dot(dictionary.Row(int(k)), dictionary.Row(int(m)))
				}
				normal[t*s+t] += damping
				values[t] = kernel.Dot(dictionary.Row(int(k)), v)
			}
			if cholesky(normal, s) {
				choleskySolve(normal, s, values)
			} else {
				clear(values)
			}
		}
	})
}
