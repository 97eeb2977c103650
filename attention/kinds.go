package attention

import (
	"fmt"
	"reflect"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Kind is a kind of attention over a sequence: a struct of the keys that its [model.attention] table has beside those of every
// kind, [Heads].
type Kind interface {
	// Validate reports what the kind's own keys cannot be.
	Validate(r *configs.Report)
	// ValidateHeads reports heads that the kind cannot have, of which there is at least one.
	ValidateHeads(r *configs.Report, h Heads)
	// Shape is what the kind makes of the heads in a model of the given width.
	Shape(h Heads, dModel int) Shape
	// New makes the layer b.Name("").
	New(b *nn.Builder, cfg LayerConfig) Attention
}

// Shape is what an attention is in a model of some width. All that is counted of a kind follows from it.
type Shape struct {
	KVHeads    int            // whose keys and values exist side by side in training
	RotaryDim  int            // width of the part of a head that positions turn; 0: the whole head
	QueryRank  int            // width between the two matrices that make a query; 0: one matrix
	Shared     int            // width of the features that keys are made from
	Parameters float64        // weights of the matrices, where they are dense; a config may ask for more than an int holds
	Repeated   float64        // multiply-adds of decoding a token beyond one for each of those weights
	Cache      op.CacheLayout // of one token in one layer
	TurnsLater bool           // keys are cached before positions turn them
}

// Kinds are the attentions that come with this package, in the order in which messages name them.
func Kinds() []configs.Choice[Kind] {
	factors := Factors{InterNorm: true}
	return []configs.Choice[Kind]{
		{Name: "mha", New: func() Kind { return MHA{} }},
		{Name: "gqa", New: func() Kind { return GQA{} }},
		{Name: "mqa", New: func() Kind { return MQA{} }},
		{Name: "mfa", New: func() Kind { return MFA{factors} }},
		{Name: "mfa_kr", New: func() Kind { return MFAKR{factors} }},
		{Name: "mla", New: func() Kind { return MLA{} }},
	}
}

// As is the choice of k, which must be of one of Kinds.
func As(k Kind) configs.OneOf[Kind] {
	for _, c := range Kinds() {
		if reflect.TypeOf(c.New()) == reflect.TypeOf(k) {
			return configs.OneOf[Kind]{Name: c.Name, Of: k}
		}
	}
	panic(fmt.Sprintf("attention: %T is not one of Kinds", k))
}

// singleHeadOnly refuses more than the one key/value head that a kind has.
func singleHeadOnly(r *configs.Report, kind string, h Heads) {
	if h.NKVHead > 1 {
		r.Errorf("n_kv_head", "is not 1, as in %s; for more use kind = \"gqa\"", kind)
	}
}

// queryWeights are those of queries of m heads of a width from d features: of one matrix, or of two with rank features between.
func queryWeights(d, m, width float64, rank int) float64 {
	if r := float64(rank); r > 0 {
		return d*r + r*m*width
	}
	return d * m * width
}
