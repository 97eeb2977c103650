package attention

import (
	"fmt"
	"reflect"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Map is a kind of attention over a feature map: a struct of the keys that its table, [model.favit], has for it beside those of
// every kind.
type Map interface {
	// Validate reports what the kind's own keys cannot be.
	Validate(r *configs.Report)
	// Check reports why it cannot attend to maps of height by width pixels in such a layer. Shape and New are asked only
	// where it can.
	Check(l MapLayer, height, width int) error
	// Shape is what it costs there.
	Shape(l MapLayer, height, width int) MapShape
	// New makes the layer b.Name("").
	New(b *nn.Builder, l MapLayer, height, width int) MapAttention
}

// MapAttention is one layer of some kind.
type MapAttention interface {
	// Forward maps x [B*H*W, C] to [B*H*W, C].
	Forward(x *G.Node, m op.Map) *G.Node
}

// MapLayer describes a layer: what a network says of every kind, each of which reads what it needs.
type MapLayer struct {
	DModel    int     // C
	NHead     int     // n
	Reduction int     // r: side of the patches that a key stands for where keys are fewer than pixels
	Window    int     // M: side of the windows, pixels
	Block     int     // number of the layer's block in its stage, from 0: neighbours may differ
	Bias      bool    // of the linear layers but the output's, which has one
	Init      nn.Init // of the linear layers
}

// MapShape is what a layer costs.
type MapShape struct {
	Parameters int // values, biases included
	MACs       int // multiply-adds for one map
	Products   int // those of queries with keys and of probabilities with values
}

// Grouped is what a Map also is whose pixels attend to few keys that stand for places. Its layer taps the queries [B*H*W, C] as
// "q" and the keys of the i-th group as "k.i".
type Grouped interface {
	Map
	// KeyGroups are the groups of keys for maps of height by width pixels.
	KeyGroups(l MapLayer, height, width int) []KeyGroup
}

// KeyGroup is a group of keys.
type KeyGroup struct {
	Name          string
	Set           op.KeySet
	Height, Width int  // of the map of places that the keys stand for
	Whole         bool // the places are parts of the whole map, not of a window around each pixel
}

// Maps are the attentions over maps that come with this package, in the order in which messages name them.
func Maps() []configs.Choice[Map] {
	return []configs.Choice[Map]{
		{Name: "fasa", New: func() Map { return DefaultFaSA() }},
		{Name: "global", New: func() Map { return Global{} }},
		{Name: "window", New: func() Map { return Window{} }},
	}
}

// OfMap is the choice of k, which must be of one of Maps.
func OfMap(k Map) configs.OneOf[Map] {
	for _, c := range Maps() {
		if reflect.TypeOf(c.New()) == reflect.TypeOf(k) {
			return configs.OneOf[Map]{Name: c.Name, Of: k}
		}
	}
	panic(fmt.Sprintf("attention: %T is not one of Maps", k))
}

// checkHeads reports heads that do not divide the channels.
func (l MapLayer) checkHeads(kind string) error {
	if l.DModel%l.NHead != 0 {
		return fmt.Errorf("%s: %d heads for %d channels; want a divisor", kind, l.NHead, l.DModel)
	}
	return nil
}

// projections is the number of values of four matrices of the layer's width with biases.
func (l MapLayer) projections() int { return 4 * (l.DModel*l.DModel + l.DModel) }
