package compress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/internal/machine"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/saved"
	"sparrow/task"
)

// Verification is what verify finds: verify.json.
type Verification struct {
	Checkpoint string       `json:"checkpoint"`
	Promises   []Promise    `json:"promises"`
	Before     *Performance `json:"before"` // null: the data to measure on is not there
	After      *Performance `json:"after"`
	Likeness   *Likeness    `json:"likeness,omitempty"` // null: the models give no distributions
	Samples    []Sample     `json:"samples,omitempty"`  // none: the models write and name nothing
}

// Promise is one property that a compression must have.
type Promise struct {
	Name   string `json:"name"`
	Kept   bool   `json:"kept"`
	Detail string `json:"detail"` // what was found; of a broken one also what was wanted
}

// ErrBroken matches the error of a verification that found a broken promise.
var ErrBroken = shell.Sentinel(shell.ExitBroken, "compress: broken promise")

// Err names the promises that are broken.
func (v *Verification) Err() error {
	var broken []string
	for _, p := range v.Promises {
		if !p.Kept {
			broken = append(broken, p.Name+": "+p.Detail)
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBroken, strings.Join(broken, "\n"+ErrBroken.Error()+": "))
}

// verifier is a verification under way.
type verifier struct {
	Verification
	*Record
	cfg     Config
	restore func() // the collection of garbage as it was before
	source  *saved.Model
	oneoff  *saved.Model // the compressed checkpoint, before any fine-tuning; nil if it or the result cannot be used
	final   *saved.Model // the result: the same, or what fine-tuning has made of it
}

// Verify checks a compression's folder against what it promises, without trust in what the compression itself has
// recorded where that can be counted or computed again; evaluates and times both models; and writes verify.json. Broken
// promises are in the result, see [Verification.Err]. more is what Load was told.
func Verify(ctx context.Context, dir string, out io.Writer, more ...Options) (*Verification, error) {
	v := &verifier{Record: &Record{Dir: dir}}
	v.restore = func() {}
	defer func() { v.restore() }()
	if err := v.open(more); err != nil {
		return nil, err
	}
	if v.oneoff != nil {
		v.lineage()
		v.count()
		v.tight()
		v.errors()
		v.others()
		v.integers()
		if !slices.ContainsFunc(more, func(o Options) bool { return o.Unmeasured }) {
			if err := v.fisher(ctx, out); err != nil {
				return nil, err
			}
			if err := v.measure(ctx, out); err != nil {
				return nil, err
			}
		}
	}
	return &v.Verification, checkpoints.WriteFileAtomic(filepath.Join(dir, verifyFile), indented(v.Verification))
}

// promise notes whether one is kept; found is its detail then, else broken.
func (v *verifier) promise(name, found string, broken []string) {
	p := Promise{name, len(broken) == 0, found}
	if !p.Kept {
		p.Detail = broken[0]
		if more := len(broken) - 1; more > 0 {
			p.Detail += fmt.Sprintf(" (and %d more)", more)
		}
	}
	v.Promises = append(v.Promises, p)
}

// open reads all files. What the compression has written and cannot be read breaks a promise; a folder that holds no
// finished compression and a source that is gone are errors.
func (v *verifier) open(more []Options) error {
	err := v.finished()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(v.Dir, configFile))
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if v.cfg, err = stored(filepath.Join(v.Dir, configFile), text, more); err != nil {
		return err
	}
	if dir, err := saved.Find(v.cfg.Compress.From, false); err == nil { // whose arrays are read several times from here on
		if info, err := os.Stat(filepath.Join(dir, "model.npz")); err == nil {
			v.restore = machine.LimitGarbage(int(info.Size()))
		}
	}
	if v.source, err = saved.Open(v.cfg.Compress.From, false, model.Options{}, v.cfg.Compress.Known); err != nil {
		return err
	}
	if err := lend(v.cfg, v.source); err != nil {
		return err
	}
	crowded, err := v.openCompressed()
	if errors.Is(err, checkpoints.ErrCheckpoint) || errors.Is(err, saved.ErrNotFound) {
		v.promise("files", "", []string{err.Error()})
		v.oneoff = nil
		return nil
	}
	if err == nil {
		v.promise("files", "every file is as its manifest says", nil)
	}
	if len(crowded) > 0 {
		v.promise("occupancy", "", crowded)
	}
	return err
}

// openCompressed reads what the compression has written. Vectors with other numbers of atoms than planned are returned:
// a checkpoint that has them may be one that cannot be opened.
func (v *verifier) openCompressed() (crowded []string, err error) {
	if err := v.Record.read(); err != nil {
		return nil, err
	}
	v.Checkpoint = filepath.Join(v.Dir, filepath.FromSlash(v.Result.Checkpoint))
	dirs := []string{checkpoints.StepDir(v.Dir, 0)}
	if v.Checkpoint != dirs[0] {
		dirs = append(dirs, v.Checkpoint)
	}
	for _, dir := range dirs {
		more, err := v.occupancy(dir)
		if err != nil {
			return nil, err
		}
		crowded = append(crowded, more...)
	}
	if len(crowded) > 0 {
		return crowded, nil
	}
	var opened []*saved.Model
	for _, dir := range dirs {
		l, err := saved.Open(dir, false, model.Options{}, v.cfg.Compress.Known)
		if err != nil {
			return nil, err
		}
		opened = append(opened, l)
	}
	v.oneoff, v.final = opened[0], opened[len(opened)-1]
	return nil, nil
}

// tuned tells whether fine-tuning made the result.
func (v *verifier) tuned() bool { return v.final != v.oneoff }

// lineage: the compressed checkpoint names the source, the source is the one of then, and the result of a fine-tuning
// comes from the compressed checkpoint.
func (v *verifier) lineage() {
	var broken []string
	if got := v.source.Files.Manifest().SHA256; got != v.Plan.Parent {
		broken = append(broken, fmt.Sprintf("%s has SHA-256 %.12s, want %.12s, from which the compression was made", v.source.Dir, got, v.Plan.Parent))
	}
	if p := v.oneoff.Files.Manifest().Parent; p == nil || p.SHA256 != v.Plan.Parent {
		broken = append(broken, fmt.Sprintf("%s names another parent than SHA-256 %.12s", v.oneoff.Dir, v.Plan.Parent))
	}
	if v.tuned() && !v.descends(v.final.Files) {
		broken = append(broken, fmt.Sprintf("%s names another parent than %s", v.final.Dir, v.oneoff.Dir))
	}
	v.promise("lineage", "made from "+v.source.Dir, broken)
}

// descends tells whether a checkpoint was trained from the compressed one: by itself or, if it was stored in few bits
// afterwards, as the run's checkpoint that it names.
func (v *verifier) descends(c *checkpoints.Checkpoint) bool {
	parent := c.Manifest().Parent
	if parent == nil {
		return false
	}
	if parent.SHA256 == v.oneoff.Files.Manifest().SHA256 {
		return true
	}
	trained, err := checkpoints.Open(checkpoints.StepDir(filepath.Join(v.Dir, tunedDir), c.Manifest().Step))
	return err == nil && trained.Manifest().SHA256 == parent.SHA256 && trained.Manifest().Parent != nil && v.descends(trained)
}

// tight: no layer's next step would still fit.
func (v *verifier) tight() {
	left := v.Plan.Budget.Limit
	for _, l := range v.Plan.Layers {
		left -= v.Plan.Budget.cost(l.Option)
	}
	var loose []string
	for _, l := range v.Plan.Layers {
		costs, _ := v.Known[l.Name+".costs"].Data.([]float64)
		i := slices.Index(costs, float64(v.Plan.Budget.cost(l.Option)))
		if i < 0 || i+1 == len(costs) {
			continue
		}
		if step := int(costs[i+1] - costs[i]); step <= left {
			loose = append(loose, fmt.Sprintf("a step of %s takes %d %s and %d are left", l.Name, step, v.Plan.Budget.Unit, left))
		}
	}
	v.promise("tight", fmt.Sprintf("%d %s are left, less than any step", left, v.Plan.Budget.Unit), loose)
}

func (v *verifier) weight(l *saved.Model, p LayerPlan) *factor.Matrix {
	return &factor.Matrix{Rows: p.Out, Cols: p.In, Data: l.Session.Store().DenseWeight(p.Name)}
}

// Tolerances of errors that are computed again.
const (
	sameError    = 1e-6 // relative, of the same factors on another instruction set
	planError    = 1e-3 // relative, of factors whose spectrum was computed by another algorithm
	roundedError = 0.1  // relative, where what rounding to few bits adds was interpolated
	rounding     = 1e-6 // of a float32 factor, relative to the weight
)

// errors: each stored layer is as far from its source as recorded and, where the method predicts that exactly, as planned.
func (v *verifier) errors() {
	var broken []string
	total := 0.0
	for i, l := range v.Plan.Layers {
		if l.Option.Untouched() {
			continue
		}
		stats := &Statistics{}
		stats.Rows, _ = v.Known[l.Name+".rows"].Data.([]float64)
		stats.Cols, _ = v.Known[l.Name+".cols"].Data.([]float64)
		w := v.weight(v.source, l)
		measure := importanceOf(w, stats)
		got, want := measure.quality(w, v.weight(v.oneoff, l)), v.Result.Layers[i].Quality
		floor := rounding * rounding * measure.of(w)
		total += got.Loss
		if !near(got.Loss, want.Loss, sameError, floor) || !near(got.Relative, want.Relative, sameError, rounding) {
			broken = append(broken, fmt.Sprintf("%s: predicted loss %g and relative error %g, want %g and %g as recorded", l.Name, got.Loss, got.Relative, want.Loss, want.Relative))
		}
		tolerance := planError
		if l.Option.Quantize != "" {
			tolerance = roundedError
		}
		if !v.cfg.Compress.Quantize.compensates() && !v.cfg.Compress.needs(l.Option.Method).Entries && !near(got.Loss, l.Option.Loss, tolerance, floor) {
			broken = append(broken, fmt.Sprintf("%s: predicted loss %g, want %g as planned", l.Name, got.Loss, l.Option.Loss))
		}
	}
	v.promise("errors", fmt.Sprintf("the layers' weighted errors, computed again, add up to a predicted loss of %.6g", total), broken)
}

// near compares with a tolerance relative to want and an absolute one. It is false for NaN.
func near(got, want, relative, absolute float64) bool {
	return math.Abs(got-want) <= relative*math.Abs(want)+absolute
}

// others: every parameter outside of the compressed layers is the source's, bit by bit.
func (v *verifier) others() {
	old, now := v.source.Session.Store(), v.oneoff.Session.Store()
	changed := map[string]bool{}
	for _, l := range v.Plan.Layers {
		if l.Option.Untouched() {
			continue
		}
		layer, _ := v.planned(l) // of which the occupancy was read before
		for _, a := range layer.Layout().Arrays {
			changed[l.Name+"."+a.Name] = true
		}
	}
	var broken []string
	same := 0
	for _, name := range now.Names() {
		if changed[name] {
			continue
		}
		same++
		if old.Get(name) == nil || !slices.Equal(old.Get(name).Float32s(), now.Get(name).Float32s()) {
			broken = append(broken, name+" differs from the source's, want it untouched")
		}
	}
	v.promise("others", fmt.Sprintf("%d other tensors are the source's", same), broken)
}

// measure evaluates and times the source and the result.
func (v *verifier) measure(ctx context.Context, out io.Writer) error {
	before, err := inUse(v.source)
	if err != nil {
		return err
	}
	after, err := inUse(v.final)
	if err != nil {
		return err
	}
	v.Before, v.After, err = compare(ctx, before, after, out)
	if errors.Is(err, task.ErrUsage) {
		fmt.Fprintf(out, "not measured: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	if v.Likeness, err = likeness(ctx, before.Task, before, after); err != nil {
		return err
	}
	if v.Samples, err = samples(ctx, before.Task, before, after); err != nil {
		return err
	}
	want := v.Result.Compressed
	if v.Result.Tuned != nil {
		want = v.Result.Tuned
	}
	var broken []string
	for _, c := range []struct {
		what      string
		got, want *Quality
	}{{"the source", v.Before.Quality, v.Result.Before}, {"the result", v.After.Quality, want}} {
		if c.want == nil {
			continue
		}
		for i, m := range c.want.Values {
			if got := c.got.Values[i]; !near(got.Value, m.Value, sameScore, 0) {
				broken = append(broken, fmt.Sprintf("%s of %s is %g, want %g as recorded", m.Name, c.what, got.Value, m.Value))
			}
		}
	}
	v.promise("quality", fmt.Sprintf("loss %.6f before, %.6f after", v.Before.Quality.Loss(), v.After.Quality.Loss()), broken)
	return nil
}

// inUse is a model as it is when it is used: what its checkpoint holds in few bits is so in memory.
func inUse(l *saved.Model) (*saved.Model, error) {
	if _, few := l.Session.Store().Quantized(); !few || l.Base != nil { // adapters are never in few bits
		return l, nil
	}
	packed, err := saved.Open(l.Dir, false, model.Options{Packed: true}, l.Known)
	if err == nil && l.Config.Data.IsNone() {
		packed.Task = l.Task
	}
	return packed, err
}

// sameScore is how much a score may differ, relative: nothing on one instruction set, roundings on another.
const sameScore = 1e-4

// bytesOf is the memory of a store.
func bytesOf(s *nn.Store) int { return s.Bytes() + s.IndexBytes() + s.BaseBytes() }
