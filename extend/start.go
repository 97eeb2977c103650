package extend

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// start is how a row begins that is not copied.
type start struct {
	name    string
	similar bool                                      // a mixture of old rows, where the token has vectors
	prepare func(ctx context.Context, t *table) error // of draw; nil: there is nothing to
	draw    func(t *table, r *rng.Source, row []float64)
}

// starts are the choices of --init, in the order in which messages name them: OFA of Liu et al. (2024) falls back on their baseline,
// random; gauss keeps the old rows' correlations too.
func starts() []start {
	return []start{
		{name: "ofa", similar: true, draw: independent},
		{name: "mean", draw: func(t *table, _ *rng.Source, row []float64) { copy(row, t.mean) }},
		{name: "gauss", prepare: correlate, draw: correlated},
		{name: "random", draw: independent},
	}
}

// Starts are the names of what a new row can begin as.
func Starts() []string {
	var names []string
	for _, s := range starts() {
		names = append(names, s.name)
	}
	return names
}

func startNamed(name string) (start, error) {
	for _, s := range starts() {
		if s.name == name {
			return s, nil
		}
	}
	return start{}, fmt.Errorf("extend: --init %q is unknown; want one of %s", name, strings.Join(Starts(), ", "))
}

// table are the rows of old tokens [rows, width] with what random rows are drawn from.
type table struct {
	rows, width int
	data        []float32
	mean, std   []float64 // of each column
	root        []float64 // Q sqrt(L) of the covariance Q L Qᵀ [width, width]; nil until it is asked for
}

func newTable(data []float32, rows int) *table {
	t := &table{rows: rows, width: len(data) / rows, data: data}
	t.mean, t.std = make([]float64, t.width), make([]float64, t.width)
	for i, x := range data {
		t.mean[i%t.width] += float64(x) / float64(rows)
	}
	for i, x := range data {
		d := float64(x) - t.mean[i%t.width]
		t.std[i%t.width] += d * d / float64(rows)
	}
	for j, v := range t.std {
		t.std[j] = math.Sqrt(v)
	}
	return t
}

// independent draws each column from a normal distribution of its own.
func independent(t *table, r *rng.Source, row []float64) {
	rng.FillNormal(r, row, 0, 1)
	for j, z := range row {
		row[j] = t.mean[j] + t.std[j]*z
	}
}

// correlated draws from the normal distribution of the old rows' mean and covariance (Hewitt 2021).
func correlated(t *table, r *rng.Source, row []float64) {
	z := make([]float64, t.width)
	rng.FillNormal(r, z, 0, 1)
	copy(row, t.mean)
	kernel.Gemm(false, true, 1, t.width, t.width, 1, z, t.width, t.root, t.width, 1, row, t.width)
}

// correlate finds the root of the covariance.
func correlate(ctx context.Context, t *table) error {
	centred := make([]float64, len(t.data))
	for i, x := range t.data {
		centred[i] = float64(x) - t.mean[i%t.width]
	}
	c := factor.NewMatrix(t.width, t.width)
	kernel.Gemm(true, false, t.width, t.width, t.rows, 1/float64(t.rows), centred, t.width, centred, t.width, 0, c.Data, t.width)
	values, vectors, err := factor.SymmetricEigen(ctx, c, t.width)
	if err != nil {
		return fmt.Errorf("extend: covariance of the embedding: %w", err)
	}
	t.root = make([]float64, t.width*t.width) // row j: column j of the new row
	for k, v := range values {
		scale := math.Sqrt(max(v, 0))
		for j, q := range vectors.Row(k) {
			t.root[j*t.width+k] = scale * q
		}
	}
	return nil
}

// rows says what the row of each new token is made of.
type rows struct {
	from     []int // the old token, -1: none
	mixtures map[int][]share
	start    start
	seed     uint64
}

// of makes the rows of new tokens from a table of old ones. name is that of the array: random rows of two arrays differ.
func (p *rows) of(ctx context.Context, name string, data []float32, old int) ([]float32, error) {
	t := newTable(data, old)
	if prepare := p.start.prepare; prepare != nil {
		if err := prepare(ctx, t); err != nil {
			return nil, err
		}
	}
	out, row := make([]float32, len(p.from)*t.width), make([]float64, t.width)
	for id, from := range p.from {
		dst := out[id*t.width : (id+1)*t.width]
		if from >= 0 {
			copy(dst, data[from*t.width:(from+1)*t.width])
			continue
		}
		clear(row)
		if mixture, ok := p.mixtures[id]; ok {
			for _, s := range mixture {
				for j, x := range data[s.id*t.width : (s.id+1)*t.width] {
					row[j] += s.weight * float64(x)
				}
			}
		} else {
			p.start.draw(t, rng.New(p.seed, "extend/"+name, uint64(id)), row)
		}
		for j, x := range row {
			dst[j] = float32(x)
		}
	}
	return out, ctx.Err()
}

// bias copies those of old tokens; others get the mean.
func (p *rows) bias(old []float32) []float32 {
	mean := 0.0
	for _, x := range old {
		mean += float64(x) / float64(len(old))
	}
	out := slices.Repeat([]float32{float32(mean)}, len(p.from))
	for id, from := range p.from {
		if from >= 0 {
			out[id] = old[from]
		}
	}
	return out
}
