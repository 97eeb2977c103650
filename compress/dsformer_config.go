package compress

import (
	"slices"
	"strings"

	"sparrow/configs"
)

// DSFormerConfig is the [compress.dsformer] table.
type DSFormerConfig struct {
	Block    int    `toml:"block"`    // b, width of a block, which divides the cut side of each layer
	Atoms    []int  `toml:"atoms"`    // K of a dictionary, up to 256; of several the planner chooses for each layer
	Nonzeros []int  `toml:"nonzeros"` // least and most atoms that a vector of a block uses; none: 1 to block
	Axis     string `toml:"axis"`     // side of W that is cut into blocks: in (the products are faster) | out
	Shared   bool   `toml:"shared"`   // one dictionary for all blocks of a layer, or one for each
	Sweeps   int    `toml:"sweeps"`   // of K-SVD
	Weights  string `toml:"weights"`  // of errors: fisher, on the sides that row says | none
}

// Validate reports what no layer can be.
func (c DSFormerConfig) Validate(r *configs.Report) {
	const maxAtoms = 256 // an index is a byte in memory
	oneOf := func(key, v string, known ...string) {
		if !slices.Contains(known, v) {
			r.Errorf(key, "is unknown; want one of %s", strings.Join(known, ", "))
		}
	}
	if c.Block < 1 {
		r.Errorf("block", "is too small; want at least 1")
	}
	if len(c.Atoms) == 0 {
		r.Errorf("atoms", "is empty; want one number, or several to choose from")
	}
	least := maxAtoms
	for i, k := range c.Atoms {
		if k < 1 || k > maxAtoms || slices.Contains(c.Atoms[:i], k) {
			r.Errorf("atoms", "has %d; want different numbers from 1 to %d", k, maxAtoms)
			return
		}
		least = min(least, k)
	}
	if n := c.Nonzeros; len(n) > 0 && !(len(n) == 2 && 1 <= n[0] && n[0] <= n[1] && n[0] <= least) {
		r.Errorf("nonzeros", "is no range; want the least and the most atoms of a vector, from 1 on, the least not above atoms")
	}
	oneOf("axis", c.Axis, "in", "out")
	if c.Sweeps < 0 {
		r.Errorf("sweeps", "is negative; want 0 or more")
	}
	oneOf("weights", c.Weights, "fisher", "none")
}
