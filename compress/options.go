package compress

import (
	"context"
	"fmt"
	"math"

	"sparrow/factor"
)

// dense is the option to leave a layer as it is.
func dense(t Target) Option {
	return Option{Method: stays, Params: t.DenseParams(), Bytes: valueBytes * t.DenseParams()}
}

// options are those of a layer, in ascending order of cost, the last dense. Where methods compete, what another betters at no more
// bytes is left out; of equal ones the first method's stays.
func (c Settings) options(ctx context.Context, t Target, s *Statistics) (all []Option, shown *factor.SVD, err error) {
	methods := c.methods(t.Method)
	for _, m := range methods {
		if x, ok := m.Method.(Candidate); ok && len(methods) > 1 && !x.Fits(t) {
			continue
		}
		options, d, err := c.optionsOf(ctx, m, t, s)
		if err != nil {
			return nil, nil, err
		}
		if d != nil {
			shown = d
		}
		if len(methods) == 1 {
			return options, shown, nil
		}
		all = mergeOptions(all, options, c.cost)
	}
	return all, shown, nil
}

// optionsOf are those of one method, as they are stored.
func (c Settings) optionsOf(ctx context.Context, m named, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	options, d, err := m.Options(ctx, t, s)
	if err != nil {
		return nil, nil, err
	}
	smaller := options[:0]
	for _, o := range options {
		if o.Method == "" {
			o.Method = m.Name
		}
		linear, err := c.linear(t, o)
		if err != nil {
			return nil, nil, err
		}
		size := t.size(linear)
		if o.Params, o.Bytes = size.Params, size.Bytes; o.Bytes < valueBytes*t.DenseParams() {
			smaller = append(smaller, o)
		}
	}
	smaller = append(smaller, dense(t))
	if t.Storage == (Storage{}) {
		return smaller, d, nil
	}
	smaller, err = c.inFewBits(ctx, m, t, s, d, smaller)
	return smaller, d, err
}

// mergeOptions joins two lists in ascending order of cost to the best of both.
func mergeOptions(a, b []Option, cost func(Option) int) []Option {
	var out []Option
	best := math.Inf(1)
	for len(a)+len(b) > 0 {
		var o Option
		if len(b) == 0 || len(a) > 0 && (cost(a[0]) < cost(b[0]) || cost(a[0]) == cost(b[0]) && a[0].Loss <= b[0].Loss) {
			o, a = a[0], a[1:]
		} else {
			o, b = b[0], b[1:]
		}
		if o.Loss < best || len(out) == 0 || o.Method == stays && out[len(out)-1].Method != stays {
			out, best = append(out, o), min(best, o.Loss)
		}
	}
	return out
}

// Measurements of the loss that rounding adds, of which others are interpolated: each costs a product, and without a
// decomposition a factorization, which slow methods do fewer times.
const roundedPoints, slowPoints = 12, 4

// inFewBits are the options, of which the last is dense, that are smaller than the rounded dense layer, which is the last.
// Their losses are those of the rounded forms: measured for some options, and for those between them with what rounding
// adds interpolated.
func (c Settings) inFewBits(ctx context.Context, m named, t Target, s *Statistics, d *factor.SVD, plain []Option) ([]Option, error) {
	last, err := c.stored(t, dense(t), t.Storage)
	if err != nil {
		return nil, err
	}
	var out []Option
	for _, o := range plain[:len(plain)-1] {
		if o, err = c.stored(t, o, t.Storage); err != nil {
			return nil, err
		}
		if o.Bytes < last.Bytes {
			out = append(out, o)
		}
	}
	points := roundedPoints
	if m.Slow {
		points = slowPoints
	}
	points = min(points, len(out))
	at, extra := -1, 0.0
	for p := range points {
		next := len(out) - 1
		if points > 1 {
			next = p * (len(out) - 1) / (points - 1)
		}
		form, err := c.formOf(ctx, t, s, d, out[next])
		if err != nil {
			return nil, err
		}
		e, err := roundedLoss(t, s, form, out[next])
		if err != nil {
			return nil, err
		}
		e -= out[next].Loss
		for i := at + 1; i <= next; i++ {
			share := 1.0
			if at >= 0 {
				share = float64(i-at) / float64(next-at)
			}
			out[i].Loss = max(0, out[i].Loss+extra+share*(e-extra))
		}
		at, extra = next, e
	}
	if last.Loss, err = roundedLoss(t, s, DenseForm(t), last); err != nil {
		return nil, err
	}
	return append(out, last), nil
}

// stored is an option in a storage, with its bytes there, but with the loss of values in float32.
func (c Settings) stored(t Target, o Option, as Storage) (Option, error) {
	o.Storage = as
	linear, err := c.linear(t, o)
	if err == nil {
		o.Bytes = t.size(linear).Bytes
	}
	return o, err
}

// roundedLoss is what a form costs, by the layer's measure, once it is in an option's bits.
func roundedLoss(t Target, s *Statistics, form *Form, o Option) (float64, error) {
	if err := form.round(o); err != nil {
		return 0, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	return importanceOf(t.Weight, s).quality(t.Weight, form.product(t)).Loss, nil
}

// formOf is what a layer becomes in float32, of low rank from a decomposition.
func (c Settings) formOf(ctx context.Context, t Target, s *Statistics, d *factor.SVD, o Option) (*Form, error) {
	if d == nil || o.Rank == 0 {
		return c.apply(ctx, t, s, o)
	}
	part, err := d.Truncate(o.Rank)
	if err != nil {
		return nil, fmt.Errorf("compress: %s: %w", t.Name, err)
	}
	up, down := part.Split()
	return LowRankForm(up, down), nil
}
