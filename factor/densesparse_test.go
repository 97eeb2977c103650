package factor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"sparrow/kernel"
)

func TestDenseSparse(t *testing.T) {
	w := random(24, 32, 1)
	for _, axis := range []Axis{AxisOut, AxisIn} {
		for _, shared := range []bool{false, true} {
			for _, nonzeros := range [][]int{{3}, {1, 4}} {
				t.Run(fmt.Sprintf("axis %d/shared %t/%v", axis, shared, nonzeros), func(t *testing.T) {
					side, vectors := 24, 32
					if axis == AxisIn {
						side, vectors = 32, 24
					}
					cfg := DenseSparseConfig{Block: side / 2, Atoms: 20, Axis: axis, Nonzeros: nonzeros, Shared: shared, Sweeps: 4, Seed: 1}
					f, err := DenseSparse(context.Background(), w, cfg, nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					if len(f.Codes) != 2 || len(f.Dictionaries) != map[bool]int{false: 2, true: 1}[shared] {
						t.Fatalf("%d codes and %d dictionaries", len(f.Codes), len(f.Dictionaries))
					}
					values := 0
					for g, c := range f.Codes {
						checkCodes(t, c, 20)
						if want := nonzeros[g%len(nonzeros)]; c.Nonzeros != want || c.Vectors != vectors {
							t.Errorf("block %d: %d vectors of %d, want %d of %d", g, c.Vectors, c.Nonzeros, vectors, want)
						}
						values += c.Vectors * c.Nonzeros
					}
					// The product by the definition: entry by entry.
					p := NewMatrix(24, 32)
					for g, c := range f.Codes {
						for i := range c.Vectors {
							for s := range c.Nonzeros {
								k, v := int(c.Index[i*c.Nonzeros+s]), c.Values[i*c.Nonzeros+s]
								for j, d := range f.Dictionary(g).Row(k) {
									row, col := g*cfg.Block+j, i
									if axis == AxisIn {
										row, col = i, g*cfg.Block+j
									}
									p.Data[row*32+col] += v * d
								}
							}
						}
					}
					if off := distance(p, f.Product(), nil, nil); off > 1e-12 {
						t.Errorf("the product is off by %g", off)
					}
					if got := distance(w, p, nil, nil); math.Abs(got-f.Error) > 1e-10 {
						t.Errorf("error %g is reported as %g", got, f.Error)
					}
					// 20 atoms need 5 bits.
					bytes := len(f.Dictionaries) * 20 * cfg.Block * 4
					for _, c := range f.Codes {
						n := c.Vectors * c.Nonzeros
						bytes += 4*n + (5*n+7)/8
					}
					if got := f.Bytes(4); got != bytes {
						t.Errorf("%d bytes, want %d", got, bytes)
					}
					again, err := DenseSparse(context.Background(), w, cfg, f, nil)
					if err != nil || again.Error > f.Error {
						t.Errorf("warm start: error %v (%v), before %g", again, err, f.Error)
					}
					same, err := f.Refit(context.Background(), w)
					if err != nil || same.Error > f.Error*(1+1e-9) {
						t.Errorf("refit: error %v (%v), before %g", same, err, f.Error)
					}
					moved := w.Clone()
					kernel.Axpy(0.1, random(24, 32, 2).Data, moved.Data)
					follow, err := f.Refit(context.Background(), moved)
					if err != nil || follow.Error >= distance(moved, p, nil, nil) {
						t.Errorf("refit to a moved matrix: error %v (%v), before %g", follow, err, distance(moved, p, nil, nil))
					}
				})
			}
		}
	}
}

// On a matrix without any low-rank structure a union of subspaces beats one subspace at equal bytes, indices counted.
func TestDenseSparseBeatsLowRankOnNoise(t *testing.T) {
	const n = 64
	w := random(n, n, 4)
	for _, tc := range []struct {
		share           float64
		block, atoms, s int
	}{{0.5, 8, 16, 3}, {0.35, 8, 16, 2}} {
		f, err := DenseSparse(context.Background(), w, DenseSparseConfig{Block: tc.block, Atoms: tc.atoms, Nonzeros: []int{tc.s}, Shared: true, Sweeps: 6}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		budget := f.Bytes(2)
		if budget > int(tc.share*2*n*n*1.05) {
			t.Errorf("share %g: %d bytes", tc.share, budget)
		}
		rank := budget / (2 * 2 * n)
		low, err := TruncatedSVD(context.Background(), w, rank, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f.Error >= low.Error {
			t.Errorf("share %g: error %g, rank %d has %g", tc.share, f.Error, rank, low.Error)
		}
	}
}

func TestDenseSparseFull(t *testing.T) {
	// As many nonzeros as the block is wide: nothing is lost, and neither at any scale.
	for _, scale := range []float64{1, 1e200, 1e-200} {
		w := random(12, 20, 3)
		kernel.Scale(scale, w.Data)
		f, err := DenseSparse(context.Background(), w, DenseSparseConfig{Block: 4, Atoms: 12, Axis: AxisIn, Nonzeros: []int{4}, Sweeps: 1}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f.Error > 1e-10*w.Norm() {
			t.Errorf("scale %g: error %g of %g", scale, f.Error, w.Norm())
		}
	}
}

func TestDenseSparseThreads(t *testing.T) {
	defer kernel.SetThreads(0)
	w := random(96, 160, 6)
	for _, update := range []Update{MOD, KSVD} {
		var first []float64
		for _, threads := range []int{1, 2, 3} {
			kernel.SetThreads(threads)
			f, err := DenseSparse(context.Background(), w, DenseSparseConfig{Block: 8, Atoms: 24, Nonzeros: []int{2}, Shared: true, Sweeps: 3, Update: update}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = f.Product().Data
				continue
			}
			for i, v := range f.Product().Data {
				if first[i] != v {
					t.Fatalf("update %d, %d threads: entry %d differs", update, threads, i)
				}
			}
		}
	}
}

func TestDenseSparseErrors(t *testing.T) {
	w := random(12, 16, 1)
	good := DenseSparseConfig{Block: 4, Atoms: 8, Nonzeros: []int{2}}
	f, err := DenseSparse(context.Background(), w, good, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, text string
		change     func(*DenseSparseConfig)
		warm       *DenseSparseFactors
	}{
		{"block", "blocks of 5 do not divide the side of 12", func(c *DenseSparseConfig) { c.Block = 5 }, nil},
		{"no block", "blocks of 0", func(c *DenseSparseConfig) { c.Block = 0 }, nil},
		{"axis", "axis 3", func(c *DenseSparseConfig) { c.Axis = 3 }, nil},
		{"nonzeros", "9 nonzeros for 8 atoms", func(c *DenseSparseConfig) { c.Nonzeros = []int{9} }, nil},
		{"numbers", "2 numbers of nonzeros for 3 blocks", func(c *DenseSparseConfig) { c.Nonzeros = []int{1, 2} }, nil},
		{"no numbers", "0 numbers", func(c *DenseSparseConfig) { c.Nonzeros = nil }, nil},
		{"warm axis", "another layout", func(c *DenseSparseConfig) { c.Axis = AxisIn }, f},
		{"warm shared", "another layout", func(c *DenseSparseConfig) { c.Shared = true }, f},
		{"warm atoms", "not one of 9 atoms", func(c *DenseSparseConfig) { c.Atoms = 9 }, f},
	} {
		cfg := good
		tc.change(&cfg)
		if _, err := DenseSparse(context.Background(), w, cfg, tc.warm, nil); !errors.Is(err, ErrShape) || !contains(err, tc.text) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.text)
		}
	}
	if _, err := f.Refit(context.Background(), random(16, 12, 1)); !errors.Is(err, ErrShape) {
		t.Errorf("refit: got %v", err)
	}
	w.Data[5] = math.NaN()
	if _, err := DenseSparse(context.Background(), w, good, nil, nil); !errors.Is(err, ErrNotFinite) {
		t.Errorf("NaN: got %v", err)
	}
}
