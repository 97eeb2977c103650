package compress

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/internal/machine"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train/stf"
)

// Result is what a finished compression tells: result.json.
type Result struct {
	Checkpoint string        `json:"checkpoint"` // the result, relative to the compression's folder
	Layers     []LayerResult `json:"layers"`
	Loss       float64       `json:"predicted_loss"` // increase, by the plan's measure, of the stored layers
	Measure    string        `json:"measure"`        // the plan's
	Before     *Quality      `json:"before"`         // null: the data to measure on is not there
	Compressed *Quality      `json:"compressed"`     // before any fine-tuning
	Tuned      *Quality      `json:"tuned,omitempty"`
	Changed    stf.Changed   `json:"atoms_changed,omitempty"` // by [compress.finetune.stf], in each tenth of the fine-tuning
}

// LayerResult is what one layer became.
type LayerResult struct {
	Name    string  `json:"name"`
	Option  Option  `json:"option"`
	Quality quality `json:"quality"` // as stored, in float32
}

// Quality is a score on the validation split.
type Quality struct {
	Values []Measurement `json:"values"` // the loss first
	Unit   string        `json:"unit"`   // of Count: tokens or examples
	Count  int           `json:"count"`
}

// Measurement is one value of a score.
type Measurement struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Loss is the mean loss.
func (q Quality) Loss() float64 { return q.Values[0].Value }

func qualityOf(s task.Score) *Quality {
	q := &Quality{Unit: s.Unit, Count: s.Count}
	for _, v := range s.Values {
		q.Values = append(q.Values, Measurement{v.Name, v.X})
	}
	return q
}

// Doubt warns of a prediction that is more than ten times off, either way: the second-order estimate does not hold there. "": it does,
// nothing was predicted or measured, or both are below a thousandth of a nat.
func (r Result) Doubt() string {
	const times, nothing = 10, 1e-3
	if r.Measure != "fisher" || r.Before == nil || r.Compressed == nil {
		return ""
	}
	measured, predicted := r.Compressed.Loss()-r.Before.Loss(), r.Loss
	size := math.Abs(measured)
	if max(size, predicted) < nothing || size <= times*predicted && predicted <= times*size {
		return ""
	}
	return fmt.Sprintf("the loss was predicted to rise by %.2g and changed by %+.2g, more than tenfold apart: the prediction, made of second derivatives, does not hold for this model; go by what is measured", predicted, measured)
}

// Run compresses a checkpoint into the folder dir, or continues what was begun there by the same config. A folder with
// anything else in it is an error. Messages and progress go to out.
func Run(ctx context.Context, cfg Config, dir string, out io.Writer) (*Result, error) {
	s, err := open(cfg, out)
	if err != nil {
		return nil, err
	}
	defer machine.LimitGarbage(s.loaded.Session.Store().Bytes())()
	unlock, err := s.begin(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if m, ok := cfg.Compress.narrowing(); ok {
		return s.narrow(ctx, m, dir)
	}
	j := journal{filepath.Join(dir, "journal")}
	if err := j.renew(s.out); err != nil {
		return nil, err
	}
	plan, err := s.plan(ctx, j)
	if err != nil {
		return nil, err
	}
	if err := s.keepPlan(plan, dir); err != nil {
		return nil, err
	}
	result := &Result{Measure: plan.Measure}
	final := checkpoints.StepDir(dir, 0)
	if err := s.factorize(ctx, plan, j, final, result); err != nil {
		return nil, err
	}
	if err := s.quality(ctx, final, result); err != nil {
		return nil, err
	}
	if cfg.Compress.Finetune != nil {
		if final, result.Changed, err = s.finetune(ctx, dir, final); err != nil {
			return nil, err
		}
		if !cfg.Unmeasured {
			if result.Tuned, err = s.measureAt(ctx, final, 1); err != nil {
				return nil, err
			}
		}
	}
	if result.Checkpoint, err = filepath.Rel(dir, final); err != nil {
		return nil, err
	}
	result.Checkpoint = filepath.ToSlash(result.Checkpoint)
	return result, checkpoints.WriteFileAtomic(filepath.Join(dir, resultFile), indented(result))
}

// keepPlan writes the plan with what predictions are made from.
func (s *compression) keepPlan(p *Plan, dir string) error {
	var arrays []checkpoints.Array
	for _, l := range p.Layers {
		x := p.spectra[l.Name]
		bytes, losses, costs := make([]float64, len(x.Options)), make([]float64, len(x.Options)), make([]float64, len(x.Options))
		for i, o := range x.Options {
			bytes[i], losses[i], costs[i] = float64(o.Bytes), o.Loss, float64(p.Budget.cost(o))
		}
		arrays = append(arrays,
			checkpoints.Array{Name: l.Name + ".values", Shape: []int{len(x.Values)}, Data: append([]float64{}, x.Values...)},
			checkpoints.Array{Name: l.Name + ".bytes", Shape: []int{len(bytes)}, Data: bytes},
			checkpoints.Array{Name: l.Name + ".costs", Shape: []int{len(costs)}, Data: costs}, // of the budget
			checkpoints.Array{Name: l.Name + ".losses", Shape: []int{len(losses)}, Data: losses})
		known := s.stats[l.Name]
		arrays = append(arrays, statisticsArrays(l.target(), &Statistics{Rows: known.Rows, Cols: known.Cols})...)
	}
	text := indented(p)
	if err := unchanged(dir, text); err != nil {
		return err
	}
	return checkpoints.Write(filepath.Join(dir, planDir), checkpoints.Contents{
		Kind: "plan", Files: map[string][]byte{"plan.json": text}, Arrays: map[string][]checkpoints.Array{"layers.npz": arrays},
	})
}

// unchanged refuses to go on in a folder whose checkpoint was made by another plan: the config is the same, so that the source
// or the calibration data has changed since.
func unchanged(dir string, plan []byte) error {
	if _, err := os.Lstat(checkpoints.StepDir(dir, 0)); err != nil {
		return nil // not made yet
	}
	before, err := checkpoints.Open(filepath.Join(dir, planDir))
	if err != nil {
		return nil // damaged: it is written anew
	}
	if text, err := before.File("plan.json"); err != nil || bytes.Equal(text, plan) {
		return nil
	}
	return refusef("%s holds a compression of another checkpoint, or by other calibration data or on another instruction set: what its config names has changed since; choose another folder with -o", dir)
}

// factorize makes the layers what the plan says, one by one, and writes the checkpoint.
func (s *compression) factorize(ctx context.Context, p *Plan, j journal, final string, r *Result) error {
	forms := map[string]*Form{}
	chosen := map[string]nn.Rule{}
	shown, done := newLayerProgress(s.out, "factorized", s.targets), 0
	for i, l := range p.Layers {
		got := LayerResult{Name: l.Name, Option: l.Option}
		if !l.Option.Untouched() {
			form, q, err := s.form(ctx, j, l)
			if err != nil {
				return err
			}
			forms[l.Name], got.Quality, chosen[l.Name] = form, q, form.Linear
		}
		if known := s.stats[l.Name]; known.Moment != nil { // of no use any more, and as large as the layer
			s.stats[l.Name] = &Statistics{Rows: known.Rows, Cols: known.Cols}
		}
		r.Layers = append(r.Layers, got)
		r.Loss += got.Quality.Loss
		done += l.target().DenseParams()
		shown.layer(i+1, done)
	}
	_, absent := os.Lstat(final)
	_, err := checkpoints.Open(final)
	if err == nil {
		return nil // written before; its bytes would be the same
	}
	if absent == nil {
		fmt.Fprintf(s.out, "written again: %v\n", err)
	}
	old := s.loaded.Session.Store()
	network := represented(s.loaded.Config.Model, old, chosen)
	store, err := s.assemble(old, network, forms)
	if err != nil {
		return err
	}
	return s.loaded.DeriveFresh(final, network, store, s.calibration())
}

// calibration is what a checkpoint's manifest tells of the data that its weights were chosen by; nil: none was read.
func (s *compression) calibration() *checkpoints.Calibration {
	var batch int
	switch n := s.needs(); {
	case n.Fisher || n.Entries:
		batch = s.cfg.Compress.Calibration.FisherBatch
	case n.Moments:
		batch = s.momentBatch()
	default:
		return nil
	}
	c := &checkpoints.Calibration{Examples: s.samples(batch), Seed: s.cfg.Seed, Data: s.data.Facts().Hash}
	if x, ok := s.data.(task.Stepped); ok {
		c.Length = task.Elements(x.Shapes(batch)[0])
	}
	return c
}

// assemble makes the store of the network in its new representation, with forms in place of layers of the old one, whose
// memory it shares where nothing changes.
func (s *compression) assemble(old *nn.Store, cfg recipe.Model, forms map[string]*Form) (*nn.Store, error) {
	store := nn.NewStore(tensor.Float32)
	n, err := cfg.Network(s.loaded.Dims)
	if err == nil {
		err = model.Declare(n, store, cfg.Represented(model.Options{Packed: true}))
	}
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	arrays := saved.Held(old)
	for layer, form := range forms {
		for _, a := range form.Arrays {
			name := layer + a.Name
			index, atoms := a.Data.([]uint8)
			if !atoms {
				arrays[name] = nn.Array{Shape: a.Shape, Data: a.Data}
				continue
			}
			made := *store.Atoms(name)
			made.Index = index
			arrays[name] = nn.Array{Shape: []int{made.PackedLen()}, Data: made.Pack()}
		}
	}
	missing, _, err := store.Fill(arrays)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%s is neither in the checkpoint nor made anew, or has another shape there", missing[0])
	}
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return store, nil
}

// form is what a layer becomes, from the journal if it is there.
func (s *compression) form(ctx context.Context, j journal, l LayerPlan) (*Form, quality, error) {
	var form *Form
	var q quality
	t := l.target()
	read := func(c *checkpoints.Checkpoint) error {
		var kept struct{ Quality quality }
		text, err := c.File("form.json")
		if err == nil {
			err = json.Unmarshal(text, &kept)
		}
		if err != nil {
			return err
		}
		linear, err := s.cfg.Compress.linear(t, l.Option)
		if err != nil {
			return err
		}
		arrays, err := c.Arrays("form.npz")
		form, q = &Form{linear, arrays}, kept.Quality
		return err
	}
	compensates := s.cfg.Compress.Quantize.compensates()
	if l.Option.Method == stays && !compensates {
		j = journal{} // to round it again is as quick as to read it
	}
	asked := l.Option
	asked.Loss = 0 // a prediction decides nothing any more
	key, err := s.layerKey("form", t, asked)
	if err != nil {
		return nil, q, err
	}
	err = j.do(key, read, func() (checkpoints.Contents, error) {
		t, err := t.of(s.loaded.Session.Store())
		if err != nil {
			return checkpoints.Contents{}, err
		}
		stats := *s.stats[t.Name]
		if s.cfg.Compress.needs(t.Method).Entries {
			if stats.Entries, err = s.entries(ctx, t); err != nil {
				return checkpoints.Contents{}, err
			}
		}
		if form, err = s.cfg.Compress.apply(ctx, t, &stats, l.Option); err != nil {
			return checkpoints.Contents{}, err
		}
		if compensates && stats.Moment != nil {
			form.compensate(stats.Moment.Square(t.In), l.Option)
		}
		if err := form.round(l.Option); err != nil {
			return checkpoints.Contents{}, fmt.Errorf("compress: %s%w", t.Name, err)
		}
		q = importanceOf(t.Weight, &stats).quality(t.Weight, form.product(t))
		return checkpoints.Contents{
			Kind: "form", Arrays: map[string][]checkpoints.Array{"form.npz": form.Arrays},
			Files: map[string][]byte{"form.json": indented(struct{ Quality quality }{q})},
		}, nil
	})
	return form, q, err
}
