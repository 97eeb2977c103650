package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// NormKinds are the normalisations that NewNorm knows.
var NormKinds = []string{"rms_norm", "layer_norm"}

// Norm normalises each row and scales it by a learned weight, which starts at
// one; a layer norm also shifts it by a bias, which starts at zero.
type Norm struct {
	weight Weight
	bias   *Weight
	eps    float64
}

// NewNorm makes a norm of rows of the given width; kind is one of NormKinds.
func NewNorm(b *Builder, kind string, width int, eps float64) *Norm {
	n := &Norm{weight: b.Steady("weight", Constant(1), width), eps: eps}
	switch kind {
	case "rms_norm":
	case "layer_norm":
		bias := b.Steady("bias", Constant(0), width)
		n.bias = &bias
	default:
		panic(fmt.Sprintf("nn: no norm %q", kind))
	}
	return n
}

// Forward maps [N, width] to [N, width].
func (n *Norm) Forward(x *G.Node) *G.Node {
	if n.bias == nil {
		return op.RMSNorm(x, n.weight.Use(), n.eps)
	}
	return op.LayerNorm(x, n.weight.Use(), n.bias.Use(), n.eps)
}
