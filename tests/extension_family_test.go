package tests

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/task/kinds"
)

// A family from outside: its data are a series of numbers, its network tells the next number from some before it, and its task
// feeds the one from the other. Nothing of it is text or an image.

// waves is its source.
type waves struct {
	Count  int     `toml:"count" doc:"numbers"`
	Period float64 `toml:"period" doc:"numbers of a wave"`
}

func (waves) Name() string                { return "waves" }
func (waves) Validate(r *configs.Report)  { r.AtLeast("count", 64) }
func (s waves) at(i int) float32          { return float32(math.Sin(2 * math.Pi * float64(i) / s.Period)) }
func (s waves) series() (from, until int) { return 0, s.Count }
func (s waves) held() (from, until int)   { return s.Count, s.Count + s.Count/4 }

// lags is its network: a layer of hidden values over the numbers before.
type lags struct {
	Lags   int `toml:"lags" doc:"numbers that are looked at"`
	Hidden int `toml:"hidden" doc:"width of the hidden layer" unit:"neurons"`
}

func (lags) Blocks() int                { return 0 }
func (l lags) Layout() string           { return fmt.Sprintf("%d numbers, %d hidden values", l.Lags, l.Hidden) }
func (lags) Validate(r *configs.Report) { r.AtLeast("lags", 1); r.AtLeast("hidden", 1) }

// Network implements model.Whole.
func (l lags) Network(model.Dims) (model.Network, error) { return l, nil }

func (l lags) Least() model.Shape { return model.Shape{Rows: 1, Length: l.Lags} }

// Build implements model.Network: leaves past [B, L], truth [B] and targets [B], output logits [B, 1].
func (l lags) Build(g *model.Graph) error {
	x := g.Floats("past", g.Shape.Rows, l.Lags)
	x = op.Activation(g.Tape, "gelu", nn.NewLinear(g.Sub("hidden"), l.Lags, l.Hidden, true, nn.Normal(0.5)).Forward(x)) // [B, H]
	model.Regress(g, nn.NewHead(g.Sub("next"), l.Hidden, 1, true, nn.Normal(0.1)).Forward(x))
	return nil
}

// forecast is its task.
type forecast struct {
	cfg  recipe.Config
	from waves
	body lags
}

func (f forecast) Facts() task.Facts {
	return task.Facts{Line: "waves", Hash: "waves", Unit: "examples", PerRow: 1, PerBatch: f.cfg.Train.BatchSize, Rows: f.from.Count, Each: "number"}
}

func (forecast) Read(context.Context) error { return nil }
func (forecast) Metrics() []task.Metric {
	return []task.Metric{{Name: "loss", Falling: true, Digits: 4}}
}

func (f forecast) Dims() (model.Dims, error) {
	return model.Dims{VocabSize: 1, Context: f.body.Lags, Regression: true}, nil
}

func (f forecast) Longest() (key string, most int) { return "lags", f.body.Lags }

func (f forecast) Shapes(rows int) []model.Shape {
	return []model.Shape{{Rows: rows, Length: f.body.Lags}}
}

func (f forecast) Batches(_ context.Context, s *model.Session, feed task.Feed) (task.Stream, error) {
	shape := f.Shapes(cmp.Or(feed.Rows, f.cfg.Train.BatchSize))[0]
	p, err := feed.Program(s, shape)
	if err != nil {
		return nil, err
	}
	from, until := f.from.series()
	if feed.Split == task.Validation {
		from, until = f.from.held()
	}
	batches, order := (until-from)/shape.Rows, &place{}
	if feed.Endless() {
		batches = 0
	}
	past := make([]float32, shape.Rows*shape.Length)
	return &task.Feeder{N: batches, Order: order, Fill: func(int) (*model.Program, int, error) {
		for row := range shape.Rows {
			first := from + (order.at.Position*shape.Rows+row)%(until-from)
			for i := range shape.Length {
				past[row*shape.Length+i] = f.from.at(first + i)
			}
			p.Floats("truth").Put(row, 0, float64(f.from.at(first+shape.Length)))
		}
		order.at.Position++
		p.Floats("past").Set(past)
		return p, shape.Rows, nil
	}}, nil
}

func (f forecast) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	batches, err := f.Batches(ctx, s, task.Feed{Mode: model.Score, Split: m.Split})
	if err != nil {
		return task.Score{}, err
	}
	loss, n, err := task.Evaluate(ctx, batches, "waves", m, nil)
	return task.NewScore(f, "examples", n, loss), err
}

// forecasts is the row of the family's task.
func forecasts() kinds.Kind {
	return kinds.Kind{
		Name: "forecast",
		Fits: func(c recipe.Config) error {
			if _, err := task.Fit[lags, waves](c, "numbers"); err != nil {
				return err
			}
			return task.Offer{Metrics: []string{"loss"}}.Check(c)
		},
		Open: func(c recipe.Config, _ task.Files) (task.Task, error) {
			return forecast{c, c.Data.Of.(waves), c.Model.Of.(lags)}, nil
		},
	}
}

// familyConfig is tiny.toml for TestFamilyFromOutside.
const familyConfig = `name = "tiny"
[data]
source = "waves"
count = 256
[model]
kind = "lags"
hidden = 16
[train]
batch_size = 32
learning_rate = 0.03
warmup_steps = 2
[eval]
every = 5
[checkpoint]
every = 5
`

// TestFamilyFromOutside: a family that shares neither data nor networks with the program's is three rows: its source, its network
// and its task. The task is found from data and network; it trains, resumes, is opened and evaluated, compressed and verified.
func TestFamilyFromOutside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tiny.toml"), []byte(familyConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	lists := configs.With(recipe.Lists(), configs.Choice[data.Source]{Name: "waves", New: func() data.Source { return waves{Period: 20} }})
	lists = configs.With(lists, configs.Choice[model.Body]{Name: "lags", New: func() model.Body { return lags{Lags: 8} }})
	o := outsider{
		name: "waves", beside: "goroot", lists: lists, tasks: append(kinds.All(), forecasts()),
		dir: dir, steps: 40, stop: 12, around: "hidden",
	}
	if losses := o.train(t); losses[39] > 0.2*losses[0] {
		t.Errorf("losses %.4f do not fall to a fifth", losses)
	}
	o.holds(t, "hidden.", "bias", "weight")
	o.compress(t, map[string]string{"hidden": "low_rank"})
}
