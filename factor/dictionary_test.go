package factor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// planted returns vectors that are exact sums of s atoms.
func planted(n, b, k, s int, seed uint64) (*Matrix, *Matrix) {
	d := atoms(k, b, seed)
	c := newCodes(n, s)
	r := rng.New(seed, "factor/planted", 0)
	for i := range n {
		index, values := c.row(i)
		for t := range index {
			index[t] = int32(t*(k/s) + r.Intn(k/s))
			values[t] = r.Float64()*2 - 1
		}
	}
	return c.Product(d), d
}

func TestLearnDictionary(t *testing.T) {
	x, _ := planted(600, 12, 24, 3, 1)
	noise := random(600, 12, 9)
	kernel.Axpy(0.02, noise.Data, x.Data)
	for _, update := range []Update{MOD, KSVD} {
		t.Run(fmt.Sprint(update), func(t *testing.T) {
			cfg := LearnConfig{Atoms: 24, Nonzeros: 3, Sweeps: 12, Update: update, Seed: 2}
			c, err := LearnDictionary(context.Background(), x, cfg, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			checkCodes(t, c.Codes, 24)
			if got := distance(x, c.Codes.Product(c.Dictionary), nil, nil); math.Abs(got-c.Error) > 1e-10 {
				t.Errorf("error %g is reported as %g", got, c.Error)
			}
			for k := range 24 {
				if norm := kernel.Dot(c.Dictionary.Row(k), c.Dictionary.Row(k)); math.Abs(norm-1) > 1e-12 {
					t.Errorf("atom %d has norm² %g", k, norm)
				}
			}
			if len(c.Errors) != 13 || c.Error > 0.7*c.Errors[0] {
				t.Errorf("errors %v", c.Errors)
			}
			low, err := TruncatedSVD(context.Background(), x, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.Error > 0.5*low.Error {
				t.Errorf("error %g; low rank with as many terms has %g", c.Error, low.Error)
			}
			// A warm start goes on where this one ended.
			cfg.Sweeps = 0
			again, err := LearnDictionary(context.Background(), x, cfg, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			if again.Error > c.Error*(1+1e-12) {
				t.Errorf("warm start has error %g, before %g", again.Error, c.Error)
			}
			cfg.Sweeps = 2
			if again, err = LearnDictionary(context.Background(), x, cfg, c, nil); err != nil || again.Error > c.Error {
				t.Errorf("warm start has error %v after 2 sweeps (%v), before %g", again, err, c.Error)
			}
		})
	}
}

// For fixed supports neither update raises the error.
func TestUpdatesNeverRaiseTheError(t *testing.T) {
	for _, update := range []Update{MOD, KSVD} {
		for seed := range uint64(6) {
			x := random(200, 9, seed)
			l := &learner{cfg: LearnConfig{Atoms: 15, Nonzeros: 3, Update: update}, j: background(), x: x, groups: []*Codes{newCodes(200, 3)}}
			l.dictionary = l.start()
			if _, err := l.code(false); err != nil {
				t.Fatal(err)
			}
			last := l.residual().Norm()
			for step := range 8 {
				lists, rest := l.uses(), l.residual()
				if update == KSVD {
					l.ksvd(lists, rest)
					if off := distance(rest, l.residual(), nil, nil); off > 1e-12*last {
						t.Fatalf("the residual that is carried along is off by %g", off)
					}
				} else {
					l.mod(lists, rest)
				}
				now := l.residual().Norm()
				if now > last*(1+1e-13) {
					t.Errorf("update %d, seed %d, step %d: error %g, before %g", update, seed, step, now, last)
				}
				if step == 0 && now > last*0.999 {
					t.Errorf("update %d, seed %d: the first step changes %g to %g only", update, seed, last, now)
				}
				last = now
			}
		}
	}
}

func TestReseed(t *testing.T) {
	x, _ := planted(300, 8, 16, 2, 3)
	// All atoms but one are far from every vector's direction: copies of one of them.
	warm := &Coding{Dictionary: NewMatrix(16, 8)}
	for k := range 16 {
		copy(warm.Dictionary.Row(k), atoms(1, 8, 5).Data)
	}
	cfg := LearnConfig{Atoms: 16, Nonzeros: 2, Sweeps: 15, Seed: 1}
	c, err := LearnDictionary(context.Background(), x, cfg, warm, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Reseeded < 14 || c.Error > 0.3*c.Errors[0] {
		t.Errorf("%d atoms replaced, errors %v", c.Reseeded, c.Errors)
	}
}

func TestLearnHostile(t *testing.T) {
	big := random(30, 5, 1)
	for i := range big.Data {
		big.Data[i] *= 1e250
	}
	for name, x := range map[string]*Matrix{"zero": NewMatrix(20, 4), "few": random(3, 6, 1), "one": random(1, 1, 1), "huge": big} {
		for _, update := range []Update{MOD, KSVD} {
			cfg := LearnConfig{Atoms: 10, Nonzeros: 2, Sweeps: 3, Update: update}
			c, err := LearnDictionary(context.Background(), x, cfg, nil, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			checkCodes(t, c.Codes, 10)
			if !(c.Error <= x.Norm()) {
				t.Errorf("%s: error %g of %g", name, c.Error, x.Norm())
			}
		}
	}
	x := random(5, 4, 1)
	for _, tc := range []struct {
		name, text string
		cfg        LearnConfig
		warm       *Coding
	}{
		{"atoms", "0 atoms", LearnConfig{Nonzeros: 1}, nil},
		{"nonzeros", "4 nonzeros for 3 atoms", LearnConfig{Atoms: 3, Nonzeros: 4}, nil},
		{"sweeps", "-1 sweeps", LearnConfig{Atoms: 3, Nonzeros: 2, Sweeps: -1}, nil},
		{"update", "update 7", LearnConfig{Atoms: 3, Nonzeros: 2, Update: 7}, nil},
		{"warm", "not one of 3 atoms", LearnConfig{Atoms: 3, Nonzeros: 2}, &Coding{Dictionary: atoms(4, 4, 1)}},
		{"warm width", "width 5", LearnConfig{Atoms: 3, Nonzeros: 2}, &Coding{Dictionary: atoms(3, 5, 1)}},
	} {
		if _, err := LearnDictionary(context.Background(), x, tc.cfg, tc.warm, nil); !errors.Is(err, ErrShape) || !contains(err, tc.text) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.text)
		}
	}
}
