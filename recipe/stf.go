package recipe

import (
	"math"
	"path"

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
	configs.OneOf[STFKind] `doc:"what trains: fixed places, a dense weight behind each layer, or coefficients of all atoms"`

	Match string `toml:"match" doc:"glob over the names of dense_sparse layers; * also matches dots"`

	From        string `toml:"from" doc:"checkpoint whose dense weights the layers stand for; empty: init_from, where it has some"`
	FirstSweeps int    `toml:"first_sweeps" doc:"sweeps of the factorization of layers that are dense in that and not in init_from factored"`
}

// STFKind is a way to train dense_sparse layers: a struct of its keys.
type STFKind interface {
	// Validate reports what no run can use.
	Validate(r *configs.Report)
	// Latent says how latent values train; nil: there are none.
	Latent() *LatentValues
}

// STFFrozen is kind = "frozen".
type STFFrozen struct{}

// STFLatent is kind = "latent".
type STFLatent struct {
	Refresh int     `toml:"refresh" doc:"steps between two searches for atoms and their choice; between them C alone is fitted to the latent weight" unit:"steps"`
	Sweeps  int     `toml:"sweeps" doc:"sweeps of such a search, each an update of the atoms (MOD); 0: atoms stay, their choice is searched"`
	Margin  float64 `toml:"margin" doc:"share of a vector's squared error that another choice must save to be taken; 0: any gain will do, 1: none does, as frozen"`
	LatentValues
}

// STFSupport is kind = "support".
type STFSupport struct{ LatentValues }

// LatentValues are the keys of every kind that has such values.
type LatentValues struct {
	Rate        float64 `toml:"rate" doc:"learning rate of latent values over that of [train]; C and D train at that of [train]"`
	FreezeShare float64 `toml:"freeze_share" doc:"share of the steps, at the end, in which C and D train and the choice is fixed; they begin with a warm-up of warmup_steps of their own where AdamW's means are not those of C"`
	Decay       float64 `toml:"decay" doc:"lambda of SR-STE (Zhou et al. 2021): each step pulls a latent value by that share of what it is off towards what is computed with"`
}

// STFKinds are the kinds that there are. Those with latent values come with settings under which these train from the first step
// to the last and may take any better choice, so that the kind does what it is called. The default is frozen: in runs in which
// latent values so trained, fixed places were as good or better.
func STFKinds() []configs.Choice[STFKind] {
	return []configs.Choice[STFKind]{
		{Name: "frozen", New: func() STFKind { return STFFrozen{} }},
		{Name: "latent", New: func() STFKind {
			return STFLatent{Refresh: 5, Sweeps: 1, LatentValues: LatentValues{Rate: 1}}
		}},
		{Name: "support", New: func() STFKind { return STFSupport{LatentValues{Rate: 1}} }},
	}
}

// SetDefaults implements configs.Defaulter.
func (c *STF) SetDefaults() {
	first := STFKinds()[0]
	*c = STF{OneOf: configs.OneOf[STFKind]{Name: first.Name, Of: first.New()}, Match: "*", FirstSweeps: 4}
}

// Latent says how the layers' latent values train; nil: they have none.
func (c *STF) Latent() *LatentValues {
	if c == nil || c.Of == nil {
		return nil
	}
	return c.Of.Latent()
}

// Latent implements STFKind.
func (STFFrozen) Latent() *LatentValues { return nil }

// Latent implements STFKind.
func (k STFLatent) Latent() *LatentValues { return &k.LatentValues }

// Latent implements STFKind.
func (k STFSupport) Latent() *LatentValues { return &k.LatentValues }

// Validate reports what no run can use.
func (c STF) Validate(r *configs.Report) {
	r.GlobPattern("match", "*.mlp.*")
	r.AtLeast("first_sweeps", 0)
}

// Validate implements STFKind.
func (STFFrozen) Validate(*configs.Report) {}

// Validate implements STFKind.
func (k STFLatent) Validate(r *configs.Report) {
	r.AtLeast("refresh", 1)
	r.AtLeast("sweeps", 0)
	r.Within("margin", k.Margin >= 0 && k.Margin <= 1, "0 (any gain) to 1 (never)")
	k.LatentValues.Validate(r)
}

// Validate reports what no run can use.
func (c LatentValues) Validate(r *configs.Report) {
	r.Within("rate", c.Rate > 0 && !math.IsInf(c.Rate, 1), "a finite number above 0")
	r.Within("freeze_share", c.FreezeShare >= 0 && c.FreezeShare < 1, "at least 0 and less than 1")
	r.Within("decay", c.Decay >= 0 && c.Decay <= 1, "0 to 1")
}

// Matches tells whether a layer is one of the table's.
func (c *STF) Matches(layer string) bool {
	ok, _ := path.Match(c.Match, layer)
	return ok
}

// validateSTF reports settings that latent values cannot go with.
func (c Train) validateSTF(r *configs.Report) {
	if c.STF.Latent() == nil {
		return
	}
	if c.PerLayerUpdate {
		r.Errorf("per_layer_update", "does not go with [train.stf] kind = %q: the factorizer wants the gradients of a whole step", c.STF.Name)
	}
	if c.EMA > 0 {
		r.Errorf("ema", "does not go with [train.stf] kind = %q: coefficients of atoms that change have no average", c.STF.Name)
	}
}

// Settles is the step after which C and D train instead of latent values; 0: none.
func (c Train) Settles() int {
	latent := c.STF.Latent()
	if latent == nil {
		return 0
	}
	if last := int(math.Round(latent.FreezeShare * float64(c.Steps))); last > 0 {
		return max(1, c.Steps-last)
	}
	return 0
}
