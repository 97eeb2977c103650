package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"sparrow/checkpoints"
	"sparrow/compress"
	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/factor"
	"sparrow/internal/measure"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// Compression is the [compress] table: the claim is about the compression of trained networks. [run] trains one parent a seed;
// an arm is a way to compress it, overrides in the words of compress run --set, and is measured at several ratios: one-shot,
// or fine-tuned if its config has a table compress.finetune.
type Compression struct {
	From     string    `toml:"from"`     // what is compressed: "imported", or [run], which may start from "pretrain"; "": from random weights
	Set      []string  `toml:"set"`      // overrides that all arms have in common; those of an arm come after
	Finetune []string  `toml:"finetune"` // the same of fine-tuned arms only
	Ratios   []float64 `toml:"ratios"`   // shares of the dense layers' bytes to remove, indices counted
	// TunedRatios are those of fine-tuned arms. The learning rates of the claim are tried for each such arm at the middle one,
	// with seed 1 and half the steps; none: that of the arm's config.
	TunedRatios []float64        `toml:"tuned_ratios"`
	Gate        *Gate            `toml:"gate"` // none: all ratios count
	Expect      []CompressExpect `toml:"expect"`
}

// parentName is how expectations call what is compressed.
const parentName = "parent"

// Validate reports ratios that are none.
func (s *Compression) Validate(r *configs.Report) {
	if len(s.Ratios) == 0 {
		r.Errorf("ratios", "is missing; want shares of the bytes to remove")
	}
	for key, ratios := range map[string][]float64{"ratios": s.Ratios, "tuned_ratios": s.TunedRatios} {
		if !goodRatios(ratios) {
			r.Errorf(key, "wants different shares of bytes to remove, growing, more than 0 and less than 1")
		}
	}
	if len(s.Expect) == 0 {
		r.Errorf("expect", "is missing; want at least one [[compress.expect]]")
	}
}

func goodRatios(ratios []float64) bool {
	for i, x := range ratios {
		if !(x > 0 && x < 1) || i > 0 && x <= ratios[i-1] {
			return false
		}
	}
	return true
}

// compression is the resolved config of arm i at a ratio and its learning rate, 0: the config's, without the checkpoint that it
// starts from.
func (c *Claim) compression(i int, ratio, rate float64) (compress.Config, error) {
	s := c.Compress
	cfg, err := decodeCompression(slices.Concat(s.Set, c.Arms[i].Set), ratio)
	if err != nil || cfg.Compress.Finetune == nil {
		return cfg, err
	}
	if cfg, err = decodeCompression(slices.Concat(s.Set, s.Finetune, c.Arms[i].Set, c.tunedLast), ratio); err != nil {
		return cfg, err
	}
	if rate > 0 {
		cfg.Compress.Finetune.LearningRate = rate
	}
	return cfg, nil
}

func decodeCompression(set []string, ratio float64) (compress.Config, error) {
	cfg := compressDefaults()
	err := configs.Decode("[compress]", nil, &cfg, configs.Options{Lists: recipe.Lists(), Set: slices.Concat(set, []string{`compress.from="parent"`, fmt.Sprintf("compress.ratio=%g", ratio)})})
	return cfg, err
}

// compressDefaults are those of a compression, whose config may name the methods of claims too.
func compressDefaults() compress.Config {
	cfg := compress.DefaultConfig()
	cfg.Compress.Methods = append(cfg.Compress.Methods, methods()...)
	return cfg
}

// tuned tells whether arm i is fine-tuned. The claim was validated.
func (c *Claim) tuned(i int) bool {
	cfg, err := c.compression(i, 0.5, 0)
	return err == nil && cfg.Compress.Finetune != nil
}

// ratios are those of arm i.
func (c *Claim) ratios(i int) []float64 {
	switch {
	case len(c.Arms[i].Ratios) > 0:
		return c.Arms[i].Ratios
	case c.tuned(i):
		return c.Compress.TunedRatios
	}
	return c.Compress.Ratios
}

// validateCompression reports what the claim around a [compress] table gets wrong.
func (c *Claim) validateCompression(r *configs.Report) {
	if len(c.Expect) > 0 {
		r.Errorf("expect", "stands beside [compress]; want [[compress.expect]]")
	}
	if c.seesImages() {
		r.Errorf("run.data.source", "is of images; [compress] wants texts")
	}
	if lacksTest(c.Run) {
		r.Errorf("run.data.test", "is empty; a claim about classifiers wants a test split")
	}
	for i, a := range c.Arms {
		key := func(name string) string { return fmt.Sprintf("arm.%d.%s", i, name) }
		if a.Name == parentName {
			r.Errorf(key("name"), "is that of the network that is compressed")
		}
		if !goodRatios(a.Ratios) {
			r.Errorf(key("ratios"), "wants different shares of bytes to remove, growing, more than 0 and less than 1")
		}
		if _, err := c.compression(i, 0.5, 0); err != nil {
			r.Errorf(key("set"), "does not apply to a compression: %v", err)
		} else if len(c.ratios(i)) == 0 {
			r.Errorf(key("ratios"), "is missing; the arm is fine-tuned, and [compress] has no tuned_ratios")
		}
	}
	c.validateGate(r)
	for i, e := range c.Compress.Expect {
		key := func(name string) string { return fmt.Sprintf("compress.expect.%d.%s", i, name) }
		if e.Of == "accuracy" && !c.classifies() {
			r.Errorf(key("of"), "is not measured of a language model")
		}
		for k, name := range append([]string{e.Arm}, e.Than...) {
			where := "arm"
			if k > 0 {
				where = "than"
			}
			if k > 0 && name == parentName && e.Measure != "fewer_bytes" {
				continue
			}
			at := c.arm(name)
			if at < 0 {
				r.Errorf(key(where), "is none of the arms: %q", name)
			} else if e.Measure != "fewer_bytes" && !slices.Contains(c.ratios(at), e.At) {
				r.Errorf(key("at"), "is none of the ratios of %s", name)
			}
		}
	}
}

// shrinkCompression makes a compression small for --quick.
func (c *Claim) shrinkCompression() {
	c.Compress.Set = slices.Concat(c.Compress.Set, c.Quick.Compress)
	c.tunedLast = c.Quick.Finetune
	wanted := func(arm string, ratio float64) bool {
		return slices.ContainsFunc(c.Compress.Expect, func(e CompressExpect) bool {
			return e.At == ratio && (e.Arm == arm || slices.Contains(e.Than, arm))
		})
	}
	for i := range c.Arms {
		all := c.ratios(i)
		var some []float64
		for k, ratio := range all {
			if k == 0 || k == len(all)-1 || wanted(c.Arms[i].Name, ratio) {
				some = append(some, ratio)
			}
		}
		c.Arms[i].Ratios = some
	}
}

// ratioText names a ratio.
func ratioText(ratio float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", 100*ratio), ".0") + "%"
}

// randomBasis is the method of gates: W Q Qᵀ, or Q Qᵀ W on the smaller side, of a random orthonormal Q of as many columns as the
// rank. What a layer loses by it does not depend on what the layer has learnt, so a network that bears it has layers to spare, and
// tells nothing about methods.
type randomBasis struct{}

// methods are those that claims know beside compress's own.
func methods() []compress.Choice {
	return []compress.Choice{{Name: "random_basis", New: func(compress.Settings) compress.Method { return randomBasis{} }}}
}

// Needs implements compress.Method.
func (randomBasis) Needs() compress.Needs { return compress.Needs{} }

// Options implements compress.Method: the ranks at which the factors are smaller, each of which loses the share of the directions
// that it leaves out.
func (randomBasis) Options(_ context.Context, t compress.Target, _ *compress.Statistics) ([]compress.Option, *factor.SVD, error) {
	side := min(t.Out, t.In)
	var out []compress.Option
	for r := 1; r <= side && r*(t.In+t.Out) < t.DenseParams(); r++ {
		out = append(out, compress.Option{Rank: r, Loss: 1 - float64(r)/float64(side)})
	}
	return out, nil, nil
}

// Linear implements compress.Method.
func (randomBasis) Linear(_ compress.Target, o compress.Option) (nn.Rule, error) {
	return nn.Rule{OneOf: nn.As(nn.LowRank{Rank: o.Rank})}, nil
}

// Apply implements compress.Method. The basis depends on the layer's name alone, and that of a rank is part of those above.
func (randomBasis) Apply(ctx context.Context, t compress.Target, _ *compress.Statistics, o compress.Option) (*compress.Form, error) {
	side := min(t.Out, t.In)
	noise := &factor.Matrix{Rows: side, Cols: side, Data: make([]float64, side*side)}
	rng.FillNormal(rng.New(1, "random_basis/"+t.Name, 0), noise.Data, 0, 1)
	d, err := factor.ThinSVD(ctx, noise, nil)
	if err != nil {
		return nil, err
	}
	q := &factor.Matrix{Rows: side, Cols: o.Rank, Data: make([]float64, side*o.Rank)}
	for i := range side {
		copy(q.Row(i), d.U.Row(i)[:o.Rank])
	}
	if t.Out < t.In {
		return compress.LowRankForm(q, q.Transpose().Mul(t.Weight)), nil
	}
	return compress.LowRankForm(t.Weight.Mul(q), q.Transpose()), nil
}

// keep moves the checkpoint of a parent to a folder that outlives the process, and measures it as what it becomes will be.
func (r *Result) keep(cfg recipe.Config, best, to string) error {
	l, err := saved.Open(best, false, model.Options{})
	if err != nil {
		return err
	}
	if err := r.heldOut(cfg, l); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil { // of a result that was not kept
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(best, to)
}

// heldOut measures a network on held-out data: the validation text of a language model, [run.eval] examples of the test split
// of a classifier.
func (r *Result) heldOut(cfg recipe.Config, l *saved.Model) error {
	var m task.Measure
	if tested(cfg) {
		m.Split = task.Test
	}
	if l.Config.Data.IsNone() { // from elsewhere: it has a task and no data
		own := l.Config
		own.Data, own.Eval = cfg.Data, cfg.Eval
		cfg = own
	}
	goal, err := l.Open(cfg)
	if err != nil {
		return err
	}
	score, err := goal.Evaluate(context.Background(), l.Session, m)
	r.Loss = score.Loss()
	r.Accuracy, _ = score.Value("accuracy")
	r.Spearman, _ = score.Value("spearman")
	return err
}

// tested tells whether what is reported is measured on a test split, and learning rates are chosen by the validation split.
func tested(cfg recipe.Config) bool {
	tsv, ok := cfg.Data.Of.(labelled.Table)
	return classifies(cfg) || ok && tsv.Test != ""
}

// compressOnce is one compression in this process: all that compress run does, then the test split of a classifier.
func compressOnce(r request, dir string) (Result, error) {
	kernel.SetThreads(r.Threads)
	run, cfg := recipe.Default(), compressDefaults()
	if err := configs.Decode("run", []byte(r.Config), &run, configs.Options{Lists: recipe.Lists()}); err != nil {
		return Result{}, err
	}
	if err := configs.Decode("compress", []byte(r.Compress), &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
		return Result{}, err
	}
	began := time.Now()
	out := Result{Steps: run.Train.Steps, Threads: kernel.Threads(), InstructionSet: kernel.ISA(), Go: runtime.Version()}
	dir = filepath.Join(dir, "result")
	result, err := compress.Run(context.Background(), cfg, dir, io.Discard)
	var diverged *train.DivergedError
	if errors.As(err, &diverged) {
		out.Diverged = fmt.Sprintf("step %d: the %s is %v", diverged.Step, diverged.What, diverged.Value)
		out.Seconds = time.Since(began).Seconds()
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Changed = result.Changed
	quality := result.Compressed
	if result.Tuned != nil {
		quality = result.Tuned
	}
	if quality == nil {
		return out, errors.New("the data to measure on is not there")
	}
	for _, v := range quality.Values {
		switch v.Name {
		case "loss":
			out.Loss = v.Value
		case "accuracy":
			out.ValidationAccuracy = v.Value
		}
	}
	l, err := saved.Open(filepath.Join(dir, filepath.FromSlash(result.Checkpoint)), false, model.Options{})
	if err != nil {
		return out, err
	}
	if err := out.count(cfg, dir, l); err != nil {
		return out, err
	}
	if tested(run) && !r.Tuning {
		if err := out.heldOut(run, l); err != nil {
			return out, err
		}
	}
	out.PeakMemory, out.Seconds = measure.PeakBytes(), time.Since(began).Seconds()
	return out, nil
}

// count counts the bytes of the layers from what the checkpoints store, not from what was planned: all but these layers is the
// same in both.
func (r *Result) count(cfg compress.Config, dir string, l *saved.Model) error {
	parent, err := saved.Describe(cfg.Compress.From, "", false)
	if err != nil {
		return err
	}
	c, err := checkpoints.Open(filepath.Join(dir, "plan"))
	if err != nil {
		return err
	}
	text, err := c.File("plan.json")
	if err != nil {
		return err
	}
	var plan compress.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return fmt.Errorf("plan.json: %w", err)
	}
	r.Parameters = l.Session.Store().Parameters()
	r.DenseBytes = plan.Before.Bytes
	r.Bytes = r.DenseBytes - (parent.Session.Store().StoredBytes() - l.Session.Store().StoredBytes())
	if r.Bytes > plan.Budget.Limit {
		return fmt.Errorf("the layers have %d bytes, the budget is %d", r.Bytes, plan.Budget.Limit)
	}
	return nil
}
