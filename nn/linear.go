package nn

import (
	"fmt"
	"path"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/op"
)

// LinearConfig says how linear layers are represented: one [[model.linear]] table.
type LinearConfig struct {
	Match string `toml:"match"` // glob over layer names, "*" also matches dots
	Kind  string `toml:"kind"`  // dense
}

// linearKinds are the representations that exist.
var linearKinds = []string{"dense"}

// Validate reports a pattern that cannot match and an unknown kind.
func (c LinearConfig) Validate(r *configs.Report) {
	if _, err := path.Match(c.Match, ""); err != nil || c.Match == "" {
		r.Errorf("match", "is no glob pattern; want one like \"*.mlp.*\"")
	}
	if !slices.Contains(linearKinds, c.Kind) {
		r.Errorf("kind", "is unknown; want one of %s", strings.Join(linearKinds, ", "))
	}
}

// Linear is y = x Wᵀ + b with W [out, in] and b [out].
type Linear struct {
	weight Weight
	bias   *Weight
}

// NewLinear makes the linear layer b.Name(""), with or without a bias, which
// starts at zero. The weight starts from init.
func NewLinear(b *Builder, in, out int, bias bool, init Init) *Linear {
	if kind := b.linear().Kind; kind != "dense" {
		panic(fmt.Sprintf("nn: no linear layer of kind %q", kind))
	}
	l := &Linear{weight: b.Weight("weight", init, out, in)}
	if bias {
		w := b.Weight("bias", Constant(0), out)
		l.bias = &w
	}
	return l
}

// Forward maps x [N, in] to [N, out].
func (l *Linear) Forward(x *G.Node) *G.Node {
	if l.bias == nil {
		return op.Linear(x, l.weight.Use(), nil)
	}
	bias := l.bias.Use()
	return op.Linear(x, l.weight.Use(), &bias)
}
