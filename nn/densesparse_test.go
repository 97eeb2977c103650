package nn_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/nn"
	"sparrow/nn/nntest"
)

// TestDenseSparseConfig: the kind's defaults, and what a table cannot be, in one line each.
func TestDenseSparseConfig(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{`match="*",kind="dense_sparse"`, ""},
		{`match="*",kind="dense_sparse",block=8,atoms=256,nonzeros=[3,4],axis="out",shared=false,mode="factored"`, ""},
		{`match="*",kind="dense_sparse",block=0`, `block = 0 is too small; want at least 1`},
		{`match="*",kind="dense_sparse",atoms=257`, `atoms = 257 is out of range; want 1 to 256`},
		{`match="*",kind="dense_sparse",nonzeros=[]`, `nonzeros`},
		{`match="*",kind="dense_sparse",nonzeros=[4,65]`, `has 65; want 1 to atoms = 64`},
		{`match="*",kind="dense_sparse",nonzeros=[0]`, `has 0; want 1 to atoms = 64`},
		{`match="*",kind="dense_sparse",axis="rows"`, `axis = "rows" is unknown; want one of`},
		{`match="*",kind="dense_sparse",mode="lazy"`, `mode = "lazy" is unknown; want one of`},
	} {
		var cfg struct {
			Linear []nn.Rule `toml:"linear"`
		}
		err := configs.Decode("a.toml", nil, &cfg, configs.Options{Lists: shipped(), Set: []string{"linear=[{" + tc.set + "}]"}})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("{%s}: %v; want %q", tc.set, err, tc.want)
		}
	}
}

// layouts are every side and sharing, with one number of nonzeros and with one for each of the three blocks.
func layouts(do func(name string, cfg factor.DenseSparseConfig)) {
	for _, axis := range []factor.Axis{factor.AxisIn, factor.AxisOut} {
		for _, shared := range []bool{false, true} {
			for _, nonzeros := range [][]int{{3}, {4, 1, 2}} {
				do(fmt.Sprintf("axis %d/shared %v/%v", axis, shared, nonzeros),
					factor.DenseSparseConfig{Block: 8, Atoms: 20, Axis: axis, Nonzeros: nonzeros, Shared: shared, Sweeps: 1, Seed: 1})
			}
		}
	}
}

// TestDenseSparseHoldsFactors: a layer filled from factors computes with their product, in both types; its size is that
// of the factors, indices of ceil(log2 K) bits counted; and the factors come back from it.
func TestDenseSparseHoldsFactors(t *testing.T) {
	layouts(func(name string, cfg factor.DenseSparseConfig) {
		t.Run(name, func(t *testing.T) {
			in, out := 24, 19
			if cfg.Axis == factor.AxisOut {
				in, out = out, in
			}
			w := factor.NewMatrix(out, in)
			rng.FillNormal(rng.New(1, "w", 0), w.Data, 0, 1)
			f, err := factor.DenseSparse(context.Background(), w, cfg, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			for dtype, tol := range map[tensor.Dtype]float64{tensor.Float64: 1e-14, tensor.Float32: 3e-7} {
				store := factored(nn.Rule{OneOf: nn.As(nn.DenseSparseOf(f))}, 1, dtype, in, out, true)
				if err := store.SetDenseSparse("layer", f); err != nil {
					t.Fatal(err)
				}
				got, want := numbers(store.Dense(), "layer.weight"), f.Product().Data
				for i := range want {
					if math.Abs(got[i]-want[i]) > tol*8 {
						t.Fatalf("%v: W[%d] = %g, want %g", dtype, i, got[i], want[i])
					}
				}
				l := store.Layer("layer")
				if bytes := 4*l.Parameters() + l.IndexBytes(); bytes != f.Bytes(4) || store.Parameters() != l.Parameters()+out {
					t.Errorf("%d bytes and %d parameters, want %d and %d", bytes, l.Parameters(), f.Bytes(4), store.Parameters()-out)
				}
				back, err := store.DenseSparse("layer")
				if err != nil {
					t.Fatal(err)
				}
				for i, x := range back.Product().Data {
					if math.Abs(x-want[i]) > tol*8 {
						t.Fatalf("%v: the factors that come back have W[%d] = %g, want %g", dtype, i, x, want[i])
					}
				}
				for g, c := range back.Codes {
					if !slices.Equal(c.Index, f.Codes[g].Index) || c.Vectors != f.Codes[g].Vectors {
						t.Fatalf("%v: block %d comes back with another support", dtype, g)
					}
				}
				if err := store.CheckIndices(); err != nil {
					t.Error(err)
				}
			}
		})
	})
}

// TestSetDenseSparseRefuses: factors of another layout change nothing, and the error says what they are.
func TestSetDenseSparseRefuses(t *testing.T) {
	w := factor.NewMatrix(12, 16)
	rng.FillNormal(rng.New(1, "w", 0), w.Data, 0, 1)
	of := func(cfg factor.DenseSparseConfig) *factor.DenseSparseFactors {
		f, err := factor.DenseSparse(context.Background(), w, cfg, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	good := factor.DenseSparseConfig{Block: 4, Atoms: 8, Axis: factor.AxisIn, Nonzeros: []int{2}, Shared: true}
	store := factored(nn.Rule{OneOf: nn.As(nn.DenseSparseOf(of(good)))}, 1, tensor.Float64, 16, 12, false)
	before := numbers(store, "layer.sparse.values")
	for want, change := range map[string]func(*factor.DenseSparseConfig){
		"got factors with block 2, 8 atoms, axis in, 1 dictionaries; want block 4":  func(c *factor.DenseSparseConfig) { c.Block = 2 },
		"got factors with block 4, 9 atoms":                                         func(c *factor.DenseSparseConfig) { c.Atoms = 9 },
		"got factors with block 4, 8 atoms, axis out":                               func(c *factor.DenseSparseConfig) { c.Axis = factor.AxisOut },
		"got factors with block 4, 8 atoms, axis in, 4 dictionaries; want block 4,": func(c *factor.DenseSparseConfig) { c.Shared = false },
		"block 1 has 12 codes of 3 nonzeros, want 12 of 2":                          func(c *factor.DenseSparseConfig) { c.Nonzeros = []int{2, 3, 2, 2} },
	} {
		cfg := good
		change(&cfg)
		if err := store.SetDenseSparse("layer", of(cfg)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := store.SetDenseSparse("other", of(good)); err == nil || !strings.Contains(err.Error(), "other: is no dense_sparse layer") {
		t.Errorf("an unknown layer: %v", err)
	}
	if !slices.Equal(before, numbers(store, "layer.sparse.values")) {
		t.Error("a refused layer has changed")
	}
}

// TestDenseSparseStarts: from scratch the entries of W have variance 1/(3 in) and every atom is chosen as often.
func TestDenseSparseStarts(t *testing.T) {
	const in, out, atoms = 256, 320, 32
	for _, axis := range []string{"in", "out"} {
		for _, shared := range []bool{true, false} {
			cfg := nn.Rule{OneOf: nn.As(nn.DenseSparse{Block: 16, Atoms: atoms, Nonzeros: []int{4}, Axis: axis, Shared: shared})}
			store := factored(cfg, 5, tensor.Float64, in, out, true)
			w := numbers(store.Dense(), "layer.weight")
			// A shared dictionary's own norms leave about 1/sqrt(atoms 16/2) = 6% of the variance open.
			if got := euclid(w) * euclid(w) / float64(len(w)) * 3 * in; math.Abs(got-1) > 0.25 {
				t.Errorf("axis %s, shared %v: the variance is %.3f of 1/(3 in)", axis, shared, got)
			}
			counts := make([]float64, atoms)
			index := store.Atoms("layer.sparse.indices").Index
			for _, k := range index {
				counts[k]++
			}
			mean := float64(len(index)) / atoms
			for k, n := range counts {
				if math.Abs(n-mean) > 5*math.Sqrt(mean) {
					t.Errorf("axis %s: atom %d was chosen %g times, want %g", axis, k, n, mean)
				}
			}
			if err := store.CheckIndices(); err != nil {
				t.Error(err)
			}
			again := factored(cfg, 5, tensor.Float32, in, out, false).Atoms("layer.sparse.indices").Index
			if other := factored(cfg, 6, tensor.Float32, in, out, false).Atoms("layer.sparse.indices").Index; !slices.Equal(index, again) || slices.Equal(index, other) {
				t.Error("the support depends on more, or less, than the seed")
			}
		}
	}
}

// TestAtomsPack: packed indices come back, in ceil(log2 K) bits each with every block in whole bytes; bytes that are no
// indices of the layer are refused.
func TestAtomsPack(t *testing.T) {
	for _, c := range []struct{ atoms, bits, bytes int }{ // 5 vectors, blocks of 2 and 1 nonzeros: 10 and 5 indices
		{3, 2, 3 + 2}, {4, 2, 3 + 2}, {5, 3, 4 + 2}, {64, 6, 8 + 4}, {100, 7, 9 + 5}, {128, 7, 9 + 5}, {129, 8, 15}, {256, 8, 15},
	} {
		cfg := nn.Rule{OneOf: nn.As(nn.DenseSparse{Block: 2, Atoms: c.atoms, Nonzeros: []int{2, 1}})}
		store := factored(cfg, 5, tensor.Float32, 4, 5, false)
		a := store.Atoms("layer.sparse.indices")
		packed, index := a.Pack(), slices.Clone(a.Index)
		if a.Bits() != c.bits || len(packed) != c.bytes || a.PackedLen() != c.bytes || a.Len() != 15 {
			t.Errorf("%d atoms: %d bits, %d bytes (PackedLen %d), want %d and %d", c.atoms, a.Bits(), len(packed), a.PackedLen(), c.bits, c.bytes)
		}
		clear(a.Index)
		if err := a.Unpack(packed); err != nil || !slices.Equal(a.Index, index) {
			t.Errorf("%d atoms: %v came back as %v (%v)", c.atoms, index, a.Index, err)
		}
		if err := a.Unpack(packed[1:]); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d bytes of indices, want %d", c.bytes-1, c.bytes)) {
			t.Errorf("%d atoms, a byte missing: %v", c.atoms, err)
		}
		for i := range packed {
			packed[i] = 0xff
		}
		full := c.atoms&(c.atoms-1) == 0 && c.bits == 8
		if err := a.Unpack(packed); !full && err == nil {
			t.Errorf("%d atoms: bytes of ones are taken", c.atoms)
		}
		if !full {
			continue
		}
		if err := store.CheckIndices(); err == nil || !strings.Contains(err.Error(), "layer.sparse.indices: a vector of a block has atom 255 after 255, want ascending") {
			t.Errorf("%d atoms: a vector with one atom twice: %v", c.atoms, err)
		}
	}
}

// TestDenseSparseRefuses: layouts that do not fit a layer are refused by its name.
func TestDenseSparseRefuses(t *testing.T) {
	for want, cfg := range map[string]nn.DenseSparse{
		`layer.weight has shape (9, 12), want a side "in" that blocks of 5 divide`:         {Block: 5, Atoms: 8, Nonzeros: []int{2}},
		`layer.weight has shape (9, 12), want a side "out" that blocks of 4 divide`:        {Block: 4, Atoms: 8, Nonzeros: []int{2}, Axis: "out"},
		"as many blocks as numbers of nonzeros, which are 2, not 3":                        {Block: 4, Atoms: 8, Nonzeros: []int{2, 1}, Axis: "in"},
		"layer.sparse.indices has shape (54), want 54 indices below 9, in the same blocks": {Block: 4, Atoms: 9, Nonzeros: []int{2}},
	} {
		store := nn.NewStore(tensor.Float32)
		store.Virtual = true
		if strings.Contains(want, "indices") {
			// The dictionary has the same shape in both: 8 + 1 atoms of one block.
			store = factored(nn.Rule{OneOf: nn.As(nn.DenseSparse{Block: 4, Atoms: 3, Nonzeros: []int{2}})}, 1, tensor.Float32, 12, 9, false)
			cfg.Shared = true
		}
		nntest.RefusesIn(t, store, want, []nn.Rule{{Match: "*", OneOf: nn.As(cfg)}}, func(b *nn.Builder) {
			nn.NewLinear(b.Sub("layer"), 12, 9, false, nn.Normal(1))
		})
	}
}
