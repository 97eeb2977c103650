package compress

import (
	"context"
	"math"
	"testing"

	"sparrow/model"
	"sparrow/nn"
)

// naiveFisher squares the gradients of batches with the ordinary sink, weight by weight.
func naiveFisher(t *testing.T, s *compression, batch, examples int) map[string][]float64 {
	t.Helper()
	grads := nn.NewGradients(s.loaded.Session.Store())
	c, err := s.loaded.Calibrate(context.Background(), s.data, batch, s.cfg.Seed, model.Options{Sink: grads})
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string][]float64{}
	targets := 0
	for range (examples + batch - 1) / batch {
		p, n, err := c.Next()
		if err == nil {
			err = p.Run()
		}
		if err != nil {
			t.Fatal(err)
		}
		targets += n
		for _, x := range s.targets {
			if sums[x.Name] == nil {
				sums[x.Name] = make([]float64, x.DenseParams())
			}
			for i, g := range grads.Get(x.Name + ".weight").Float32s() {
				sums[x.Name][i] += float64(g) * float64(g)
			}
		}
	}
	for _, sum := range sums {
		for i := range sum {
			sum[i] /= float64(targets)
		}
	}
	return sums
}

// sumTolerance is for float64 sums of the same float32 numbers in another order.
const sumTolerance = 1e-12

func equalSums(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > sumTolerance*math.Abs(want[i]) {
			t.Fatalf("%s[%d] = %g, want %g", what, i, got[i], want[i])
		}
	}
}

// TestFisher: sums over rows, columns and none are those of a naive loop, with batches of one text and of several, from a
// pass and from the cache, of a language model and of a classifier of padded texts.
func TestFisher(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   func(*testing.T) string
		batch int
	}{{"decoder", trainedRun, 1}, {"decoder, batches", trainedRun, 4}, {"encoder", trainedEncoder, 1}, {"encoder, batches", trainedEncoder, 3}} {
		t.Run(c.name, func(t *testing.T) {
			cfg := configOf(t, c.run(t), "tfwsvd", 0.5)
			cfg.Compress.Calibration = CalibrationConfig{Examples: 12, FisherBatch: c.batch}
			want := naiveFisher(t, mustOpen(t, cfg), c.batch, 12)
			for _, pass := range []string{"computed", "cached"} {
				s := mustOpen(t, cfg)
				if err := s.calibrate(context.Background()); err != nil {
					t.Fatal(err)
				}
				for _, x := range s.targets {
					f, rows, cols := want[x.Name], make([]float64, x.Out), make([]float64, x.In)
					for i := range rows {
						for j := range cols {
							rows[i] += f[i*x.In+j]
							cols[j] += f[i*x.In+j]
						}
					}
					equalSums(t, pass+" rows of "+x.Name, s.stats[x.Name].Rows, rows)
					equalSums(t, pass+" columns of "+x.Name, s.stats[x.Name].Cols, cols)
					entries, err := s.entries(context.Background(), x)
					if err != nil {
						t.Fatal(err)
					}
					equalSums(t, pass+" entries of "+x.Name, entries, f)
				}
			}
		})
	}
}

// TestMoments: inputs' moments are those of a naive loop over the rows that are tokens.
func TestMoments(t *testing.T) {
	for name, run := range map[string]func(*testing.T) string{"decoder": trainedRun, "encoder": trainedEncoder} {
		t.Run(name, func(t *testing.T) {
			cfg := configOf(t, run(t), "svd_llm", 0.5)
			cfg.Compress.Calibration.Examples = 12
			s := mustOpen(t, cfg)
			if err := s.calibrate(context.Background()); err != nil {
				t.Fatal(err)
			}
			for _, x := range s.targets {
				moment, size, n := make([]float64, x.In*x.In), make([]float64, x.In), 0
				eachInput(t, s, x, 12, func(row []float64) {
					n++
					for i, a := range row {
						size[i] += math.Abs(a)
						for j, b := range row {
							moment[i*x.In+j] += a * b
						}
					}
				})
				for _, sum := range [][]float64{moment, size} {
					for i := range sum {
						sum[i] /= float64(n)
					}
				}
				got := s.stats[x.Name]
				square := got.Moment.Square(x.In).Data
				for i := range moment {
					if math.Abs(square[i]-moment[i]) > 1e-10*math.Sqrt(moment[i/x.In*(x.In+1)]*moment[i%x.In*(x.In+1)]) {
						t.Fatalf("%s: moment %d is %g, want %g", x.Name, i, square[i], moment[i])
					}
				}
				equalSums(t, "size of "+x.Name, got.Size, size)
			}
		})
	}
}

// eachInput calls do with each input of a layer that belongs to a token, as the same batches give them.
func eachInput(t *testing.T, s *compression, x Target, examples int, do func([]float64)) {
	t.Helper()
	site := x.Name + siteSuffix
	c, err := s.loaded.Calibrate(context.Background(), s.data, s.momentBatch(), s.cfg.Seed, model.Options{Sites: []string{site}})
	if err != nil {
		t.Fatal(err)
	}
	for range (examples + s.momentBatch() - 1) / s.momentBatch() {
		p, _, err := c.Next()
		if err == nil {
			err = p.Run()
		}
		if err != nil {
			t.Fatal(err)
		}
		rows := p.Site(site)
		values, each, lengths := rows.Float64s(), rows.Count/p.Shape.Rows, c.Lengths()
		for row := range rows.Count {
			if lengths == nil || row%each < lengths[row/each] {
				do(values[row*x.In : (row+1)*x.In])
			}
		}
	}
}

// TestGradientRows: a gradient that comes in blocks of rows adds up to the same sums.
func TestGradientRows(t *testing.T) {
	ts := []Target{{Name: "a", Out: 7, In: 5}}
	whole, parts := newFisherSums(ts, false), newFisherSums(ts, false)
	g := tensorOf(7, 5)
	if err := whole.add("a.weight", g, 0); err != nil {
		t.Fatal(err)
	}
	for lo := 0; lo < 7; lo += 3 {
		hi := min(lo+3, 7)
		block := tensorOf(hi-lo, 5)
		copy(block.Float32s(), g.Float32s()[lo*5:hi*5])
		if err := parts.add("a.weight", block, lo*5); err != nil {
			t.Fatal(err)
		}
	}
	equalSums(t, "rows", parts.layers["a"].Rows, whole.layers["a"].Rows)
	equalSums(t, "columns", parts.layers["a"].Cols, whole.layers["a"].Cols)
	g.Float32s()[0] = float32(math.NaN())
	if err := whole.add("a.weight", g, 0); err == nil {
		t.Error("a gradient with NaN: no error")
	}
}

// TestCacheKnowsWhatMatters: what changes statistics changes their key; what does not, does not.
func TestCacheKnowsWhatMatters(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "fwsvd", 0.5)
	key := func(cfg Config) string {
		s := mustOpen(t, cfg)
		k, err := s.key("fisher", 1, s.targets)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := key(cfg)
	other := cfg
	other.Compress.Ratio, other.Compress.Row, other.Name = 0.3, "in", "else"
	if key(other) != base {
		t.Error("the key depends on the budget, the method or the name")
	}
	for name, change := range map[string]func(*Config){
		"seed":     func(c *Config) { c.Seed = 9 },
		"examples": func(c *Config) { c.Compress.Calibration.Examples = 65 },
		"layers":   func(c *Config) { c.Compress.Layer = []LayerConfig{{Match: "*.mlp.*"}} },
	} {
		other := cfg
		change(&other)
		if key(other) == base {
			t.Errorf("the key does not depend on %s", name)
		}
	}
}
