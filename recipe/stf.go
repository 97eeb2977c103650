package recipe

import (
	"math"
	"path"
	"slices"
	"strings"

	"sparrow/configs"
)

// STF is the [train.stf] table: how dense_sparse layers W ~ [C_1 D_1 | ... | C_G D_G] train, all of them together and
// driven by the loss of the task (Chand, Prabhu and Kumar 2023, DSFormer: its Straight-Through Factorizer, STF). No text or
// code of that method is public; these are the two readings of what is known of it, and the training that it is compared
// with:
//
//	frozen   which atoms a vector uses stays; C and D train by their exact gradients. As without the table.
//	latent   the factorizer is the quantiser of a straight-through scheme. Every layer has a latent dense weight W; after
//	         each step C is fitted anew to W, and every refresh steps the factorizer looks for better atoms and a better
//	         choice of them, from the last ones on; forward computes with C D; backward hands dL/d(C D) to W unchanged,
//	         which the optimizer updates, and it holds neither C nor D.
//	support  only the choice is straight-through. Every layer has latent coefficients C~ of all atoms; forward takes the s
//	         of each vector that are largest by |C~| times the atom's norm; backward hands dL/dC = P Dᵀ to all of C~ alike;
//	         D trains by its exact gradient.
//
// After the steps of latent values come those of freeze_share, as frozen from then on. AdamW's means of latent coefficients
// become those of C; else the optimizer begins anew with C (and D, which a latent weight's run did not train), at a rate that
// warms up as at the start. A checkpoint's model always holds
// the C and D that forward computes with; latent values are part of the state of a run that goes on.
type STF struct {
	Kind  string `toml:"kind" doc:"what trains: fixed places, a dense weight behind each layer, or coefficients of all atoms" choices:"frozen|latent|support"`
	Match string `toml:"match" doc:"glob over the names of dense_sparse layers; * also matches dots"`

	From        string `toml:"from" doc:"checkpoint whose dense weights the layers stand for; empty: init_from, where it has some"`
	FirstSweeps int    `toml:"first_sweeps" doc:"sweeps of the factorization of layers that are dense in that and not in init_from factored"`

	Refresh int     `toml:"refresh" doc:"steps between two searches for atoms and their choice, of latent" unit:"steps"`
	Sweeps  int     `toml:"sweeps" doc:"sweeps of such a search, each an update of the atoms, of latent"`
	Margin  float64 `toml:"margin" doc:"share of a vector's squared error that another choice must save to be taken, of latent"`

	Rate        float64 `toml:"rate" doc:"learning rate of latent values over that of [train], of latent and support"`
	FreezeShare float64 `toml:"freeze_share" doc:"share of the steps, at the end, in which C and D train and the choice is fixed, of latent and support"`
	Decay       float64 `toml:"decay" doc:"lambda of SR-STE (Zhou et al. 2021): added to the gradient for each unit that a latent value is off what is computed with, of latent and support"`
}

// STFKinds are the values of kind.
var STFKinds = []string{"frozen", "latent", "support"}

// SetDefaults implements configs.Defaulter.
func (c *STF) SetDefaults() { *c = STF{Kind: "frozen", Match: "*", FirstSweeps: 4} }

// UseKind implements configs.Kinded: of the settings that were tried, those that came closest to frozen, which none surpassed.
func (c *STF) UseKind(kind string) {
	if kind == c.Kind || !slices.Contains(STFKinds, kind) {
		return
	}
	c.SetDefaults()
	switch c.Kind = kind; kind {
	case "latent":
		c.Refresh, c.Sweeps, c.Margin, c.Rate, c.FreezeShare = 5, 1, 0.5, 0.5, 0.85
	case "support":
		c.Rate, c.FreezeShare = 0.25, 0.7
	}
}

// Latent tells whether the layers have latent values.
func (c *STF) Latent() bool { return c != nil && c.Kind != "frozen" }

// Validate reports what no run can use.
func (c STF) Validate(r *configs.Report) {
	if !slices.Contains(STFKinds, c.Kind) {
		r.Errorf("kind", "is unknown; want one of %s", strings.Join(STFKinds, ", "))
		return
	}
	r.GlobPattern("match", "*.mlp.*")
	atLeast(r, "first_sweeps", c.FirstSweeps, 0)
	for _, k := range []struct {
		key   string
		given bool
		kinds []string
	}{
		{"refresh", c.Refresh != 0, STFKinds[1:2]}, {"sweeps", c.Sweeps != 0, STFKinds[1:2]}, {"margin", c.Margin != 0, STFKinds[1:2]},
		{"rate", c.Rate != 0, STFKinds[1:]}, {"freeze_share", c.FreezeShare != 0, STFKinds[1:]}, {"decay", c.Decay != 0, STFKinds[1:]},
	} {
		if k.given && !slices.Contains(k.kinds, c.Kind) {
			r.Errorf(k.key, "is for kind = \"%s\" only, but kind = %q", strings.Join(k.kinds, `" or "`), c.Kind)
		}
	}
	if c.Kind == "latent" {
		atLeast(r, "refresh", c.Refresh, 1)
		atLeast(r, "sweeps", c.Sweeps, 0)
		if !(c.Margin >= 0 && c.Margin <= 1) {
			r.Errorf("margin", "is out of range; want 0 (any gain) to 1 (never)")
		}
	}
	if !c.Latent() {
		return
	}
	if !(c.Rate > 0) || math.IsInf(c.Rate, 1) {
		r.Errorf("rate", "is out of range; want a finite number above 0")
	}
	if !(c.FreezeShare >= 0 && c.FreezeShare < 1) {
		r.Errorf("freeze_share", "is out of range; want at least 0 and less than 1")
	}
	if !(c.Decay >= 0 && c.Decay <= 1) {
		r.Errorf("decay", "is out of range; want 0 to 1")
	}
}

// Matches tells whether a layer is one of the table's.
func (c *STF) Matches(layer string) bool {
	ok, _ := path.Match(c.Match, layer)
	return ok
}
