package interpret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"sparrow/internal/rng"
	"sparrow/saved"
	"sparrow/task"
)

// ScoreOptions say what is scored.
type ScoreOptions struct {
	Features int     // of each set, drawn by usage; 0: all that are in use
	KL       float64 // nats
	Seed     uint64  // of the draw
	Texts    int     // features of each set of the middle layer whose texts are looked at too; 0: none
}

// Scored is one feature's steering score.
type Scored struct {
	Choice Choice  `json:"choice"`
	Alpha  float64 `json:"alpha"`
	KL     float64 `json:"kl"`    // on the contexts that it is measured on
	Score  float64 `json:"score"` // nats
}

// SetScore is what steering by a set does.
type SetScore struct {
	Layer    int      `json:"layer"`
	Method   string   `json:"method"`
	Mean     float64  `json:"mean"`     // score, nats
	Error    float64  `json:"error"`    // standard error of it
	Positive float64  `json:"positive"` // share of the features
	Unmet    int      `json:"unmet"`    // features that cannot be strong enough
	Features []Scored `json:"features"`
	Texts    []Fluent `json:"texts,omitempty"`
}

// Score measures, without a judge, whether features do what they are found to stand for: a feature is added so that the mean KL
// divergence is as wanted, and the score is by how many nats that raises the probability of the tokens that follow its strongest
// tokens, over contexts that neither it nor its strength was found on. after is told of features done.
func (f *Folder) Score(ctx context.Context, l *saved.Model, o ScoreOptions, after func(done, total int)) ([]SetScore, error) {
	if err := f.Check(l); err != nil {
		return nil, err
	}
	if len(f.Probes) <= calibrating {
		return nil, task.Refusef("%s keeps %d contexts; want more than %d: fit it on more text", f.Dir, len(f.Probes), calibrating)
	}
	if o.KL <= 0 {
		return nil, task.Refusef("a KL divergence of %g nats; want more than 0", o.KL)
	}
	var all []SetScore
	total, done := 0, 0
	for _, s := range f.Sets {
		total += len(f.chosen(o, s))
	}
	var found, measured *probes
	for _, s := range f.Sets {
		site, directions, err := s.written(l)
		if err != nil {
			return nil, err
		}
		if found == nil || found.site != site {
			if found, err = newProbes(ctx, l, s.Layer, site, f.Probes[:calibrating]); err != nil {
				return nil, err
			}
			if measured, err = newProbes(ctx, l, s.Layer, site, f.Probes[calibrating:]); err != nil {
				return nil, err
			}
		}
		x := SetScore{Layer: s.Layer, Method: s.Method}
		chosen := f.chosen(o, s)
		for _, c := range chosen {
			d := s.direction(site, directions.Row(c), c)
			steering, err := d.search(ctx, found, o.KL)
			done++
			after(min(done, total), total)
			if errors.Is(err, errUnmet) {
				x.Unmet++
				continue
			}
			if err != nil {
				return nil, err
			}
			one, err := d.score(ctx, measured, steering, s.Features[c].Next)
			if err != nil {
				return nil, err
			}
			x.Features = append(x.Features, one)
		}
		x.summarize()
		if o.Texts > 0 && s.Layer == f.middle() {
			if x.Texts, err = f.fluent(ctx, l, s, site, directions, chosen[:min(o.Texts, len(chosen))], found); err != nil {
				return nil, err
			}
		}
		all = append(all, x)
	}
	return all, nil
}

// middle is the middle one of the layers.
func (f *Folder) middle() int {
	layers := slices.Clone(f.Config.Interpret.Layers)
	slices.Sort(layers)
	return layers[len(layers)/2]
}

// chosen are the features of a set that are scored. Directions by chance and mean differences are measured by what snmf's features
// stand for, so that they are those.
func (f *Folder) chosen(o ScoreOptions, s *Set) []int {
	from := s
	if s.Method == Means || s.Method == Random {
		if x, err := f.Find(s.Layer, SNMF); err == nil {
			from = x
		}
	}
	var live []int
	for i, x := range from.Features {
		if x.Usage > 0 && len(x.Next) > 0 {
			live = append(live, i)
		}
	}
	if o.Features == 0 || o.Features >= len(live) {
		return live
	}
	r := rng.New(o.Seed, "interpret/score", uint64(s.Layer))
	var drawn []int
	for range o.Features {
		sum := 0.0
		for _, i := range live {
			sum += from.Features[i].Usage
		}
		left := r.Float64() * sum
		at := len(live) - 1
		for j, i := range live {
			if left -= from.Features[i].Usage; left < 0 {
				at = j
				break
			}
		}
		drawn = append(drawn, live[at])
		live = slices.Delete(live, at, at+1)
	}
	slices.Sort(drawn)
	return drawn
}

// score is the mean change of the log-probability of some tokens together.
func (d *direction) score(ctx context.Context, p *probes, s Steering, tokens []Token) (Scored, error) {
	x := Scored{Choice: s.Choice, Alpha: s.Alpha}
	n := float64(len(p.base))
	err := p.run(ctx, d.vector, s.Alpha, func(i int, logp []float64) {
		x.Score += (mass(logp, tokens) - mass(p.base[i], tokens)) / n
		for j, base := range p.base[i] {
			x.KL += math.Exp(base) * (base - logp[j]) / n
		}
	})
	return x, err
}

// mass is the logarithm of the probability of some tokens together.
func mass(logp []float64, tokens []Token) float64 {
	sum := 0.0
	for _, t := range tokens {
		sum += math.Exp(logp[t.ID])
	}
	return math.Log(math.Max(sum, 1e-300))
}

// summarize fills the means in.
func (x *SetScore) summarize() {
	n := float64(len(x.Features))
	if n == 0 {
		return
	}
	square := 0.0
	for _, one := range x.Features {
		x.Mean += one.Score / n
		square += one.Score * one.Score / n
		if one.Score > 0 {
			x.Positive += 1 / n
		}
	}
	if n > 1 {
		x.Error = math.Sqrt(math.Max(0, square-x.Mean*x.Mean) / (n - 1))
	}
}

// WriteScores writes a table of scores.
func WriteScores(w io.Writer, all []SetScore, kl float64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "layer\tmethod\tscore at KL %g\tpositive\tfeatures\tunmet\n", kl)
	for _, x := range all {
		fmt.Fprintf(t, "%d\t%s\t%+.3f +- %.3f\t%.0f%%\t%d\t%d\n", x.Layer, x.Method, x.Mean, x.Error, 100*x.Positive, len(x.Features), x.Unmet)
	}
	texts := false
	for _, x := range all {
		for _, y := range x.Texts {
			if !texts {
				fmt.Fprintf(t, "\nlayer\tmethod\tKL\tconcept share\tperplexity\trepeated\n")
				texts = true
			}
			fmt.Fprintf(t, "%d\t%s\t%+g\t%.2f%%\t%.2f\t%.1f%%\n", x.Layer, x.Method, y.KL, 100*y.Concept, y.Perplexity, 100*y.Repeated)
		}
	}
	return t.Flush()
}
