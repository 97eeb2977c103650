package cost

import (
	"slices"

	"sparrow/configs"
)

// kind is how an attention is counted.
type kind struct {
	name string
	must []string // sizes that it has beside n_head and head_dim
	may  []string // those that may be 0

	shared bool // whether its heads may share an output matrix

	cached      func(a Attention) float64                               // values that one layer keeps of one token
	products    func(a Attention) float64                               // multiply-adds of one layer with one token of context
	projections func(a Attention, dModel float64, weights bool) float64 // weights of one layer's projections, or, weights false, their multiply-adds for one token
}

// kinds are the attentions that can be counted.
func kinds() []kind {
	one := func(Attention) int { return 1 }
	return []kind{
		heads("mha", func(a Attention) int { return a.NHead }),
		heads("gqa", func(a Attention) int { return a.NKVHead }, "n_kv_head"),
		heads("mqa", one),
		{name: "mla", must: []string{"kv_rank"}, may: []string{"q_rank", "v_head_dim", "rope_dim"}, cached: latent, products: absorbed, projections: latentProjections},
		{name: "mfa", must: []string{"q_rank"}, shared: true, cached: keysAndValues(one), products: scores, projections: factorized},
		{name: "mfa_kr", must: []string{"q_rank"}, shared: true, cached: keys, products: scores, projections: reused},
	}
}

// kind is the row of an attention's kind, which Validate knows.
func (a Attention) kind() kind {
	for _, k := range kinds() {
		if k.name == a.Kind {
			return k
		}
	}
	panic("cost: attention " + a.Kind + " was validated and is unknown")
}

// Validate reports widths that no attention has, and those that its kind does not use.
func (a Attention) Validate(r *configs.Report) {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	if !slices.Contains(names, a.Kind) {
		r.OneOf("kind", names...)
		return
	}
	k := a.kind()
	inRange(r, "n_head", a.NHead, 1)
	inRange(r, "head_dim", a.HeadDim, 1)
	for _, size := range []struct {
		key string
		v   int
	}{{"n_kv_head", a.NKVHead}, {"q_rank", a.QRank}, {"kv_rank", a.KVRank}, {"v_head_dim", a.VHeadDim}, {"rope_dim", a.RopeDim}} {
		switch {
		case slices.Contains(k.must, size.key):
			inRange(r, size.key, size.v, 1)
		case slices.Contains(k.may, size.key):
			inRange(r, size.key, size.v, 0)
		case size.v != 0:
			r.Errorf(size.key, "is not a size of %s", a.Kind)
		}
	}
	if a.NKVHead > 0 && a.NHead%a.NKVHead != 0 {
		r.Errorf("n_kv_head", "does not divide n_head = %d", a.NHead)
	}
	if a.Output != "full" && (a.Output != "shared" || !k.shared) {
		r.Errorf("output", "is not an output of %s; want \"full\" or, of mfa and mfa_kr, \"shared\"", a.Kind)
	}
}

// heads is an attention of n_head queries and so many cached heads.
func heads(name string, n func(Attention) int, must ...string) kind {
	return kind{
		name: name, must: must, cached: keysAndValues(n), products: scores,
		projections: func(a Attention, d float64, _ bool) float64 {
			w := float64(a.HeadDim)
			return 2*d*float64(a.NHead)*w + 2*d*float64(n(a))*w
		},
	}
}

// keysAndValues are two vectors for each cached head.
func keysAndValues(n func(Attention) int) func(Attention) float64 {
	return func(a Attention) float64 { return 2 * float64(n(a)) * float64(a.HeadDim) }
}

// keys is what MFA-KR caches, whose values are made of keys.
func keys(a Attention) float64 { return float64(a.HeadDim) }

// latent is what MLA caches.
func latent(a Attention) float64 { return float64(a.KVRank + a.RopeDim) }

// scores and the sums of values are two products over the width of a head.
func scores(a Attention) float64 { return 2 * float64(a.NHead) * float64(a.HeadDim) }

// absorbed are MLA's products, over all that is cached.
func absorbed(a Attention) float64 { return 2 * float64(a.NHead) * latent(a) }

// latentProjections are MLA's.
func latentProjections(a Attention, d float64, _ bool) float64 {
	n, w, rank := float64(a.NHead), float64(a.HeadDim), float64(a.QRank)
	latent, rope := float64(a.KVRank), float64(a.RopeDim)
	query := d * n * (w + rope)
	if rank > 0 {
		query = d*rank + rank*n*(w+rope)
	}
	value := w
	if a.VHeadDim > 0 {
		value = float64(a.VHeadDim)
	}
	return query + d*(latent+rope) + latent*n*(w+value) + n*value*d
}

// factorized are MFA's: query through rank C_q, one key and one value of width C, and the output.
func factorized(a Attention, d float64, _ bool) float64 {
	n, w, rank := float64(a.NHead), float64(a.HeadDim), float64(a.QRank)
	return d*rank + rank*n*w + 2*d*w + output(a, d)
}

// reused are MFA-KR's, whose values are N of the keys: N of C x C is stored once and applied once a head.
func reused(a Attention, d float64, weights bool) float64 {
	n, w := float64(a.NHead), float64(a.HeadDim)
	sum := factorized(a, d, weights) - d*w
	if weights {
		return sum + w*w
	}
	return sum + w*w*n
}

// output is MFA's: n C x d, or one C x C for each head and one C x d for all.
func output(a Attention, d float64) float64 {
	n, w := float64(a.NHead), float64(a.HeadDim)
	if a.Output == "shared" {
		return n*w*w + w*d
	}
	return n * w * d
}
