package favit

import (
	"fmt"
	"strings"

	"sparrow/configs"
	"sparrow/model"
)

// Body is the keys of a [model] table, and the body.
type Body struct {
	CheckpointActivations bool `toml:"checkpoint_activations" doc:"compute activations of a block again in the backward pass, to save memory, for about a third more time"`
	Config                `toml:"favit"`
}

// DefaultBody has the table's defaults.
func DefaultBody() Body { return Body{Config: Default()} }

// Validate implements model.Body. The table reports its own.
func (c Body) Validate(*configs.Report) {}

// Layout implements model.Body.
func (c Body) Layout() string {
	v := c.Resolved()
	widths := strings.Trim(strings.ReplaceAll(fmt.Sprint(v.Widths), " ", ", "), "[]")
	return fmt.Sprintf("%s with %s attention, %d blocks in stages of width %s", v.Variant, v.Attention.Name, c.Blocks(), widths)
}

// Blocks implements model.Body.
func (c Body) Blocks() int {
	n := 0
	for _, depth := range c.Resolved().Depths {
		n += depth
	}
	return n
}

// Least implements model.Weighed.
func (c Body) Least(dims model.Dims, rows, _ int, _ bool) (n model.Need) {
	n.Weights = 4 * float64(c.Parameters(dims))
	for _, s := range c.stages(dims) {
		kept := 2*s.width + s.hidden // inputs of the block's layers
		if c.CheckpointActivations {
			kept = s.width
		}
		n.Activations += 4 * float64(s.side*s.side) * float64(s.depth) * float64(kept)
	}
	n.Activations *= float64(rows)
	return n
}
