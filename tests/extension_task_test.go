package tests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/data"
	"sparrow/internal/shell"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/task/kinds"
	"sparrow/train"
)

// numbers is the half of a task from outside that any has: rows count modulo 8, each from somewhere, and the next number is to
// be told. It has data of its own and reads no file.
type numbers struct{ cfg recipe.Config }

func (n numbers) Facts() task.Facts {
	length := n.cfg.Data.SeqLen()
	return task.Facts{Line: "numbers", Hash: "numbers", Unit: "tokens", PerRow: length, PerBatch: n.cfg.Train.BatchSize * length, Rows: 64, Each: "text"}
}

func (numbers) Read(context.Context) error        { return nil }
func (n numbers) Dims() (model.Dims, error)       { return n.cfg.Dims(8), nil }
func (n numbers) Longest() (key string, most int) { return "seq_len", n.cfg.Data.SeqLen() }

func (numbers) Metrics() []task.Metric {
	return []task.Metric{{Name: "loss", Falling: true, Unit: "nats a number", Digits: 4}, {Name: "bits", Falling: true, Digits: 2}}
}

func (n numbers) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	batches, err := n.stream(s, task.Feed{Mode: model.Score, Split: m.Split})
	if err != nil {
		return task.Score{}, err
	}
	loss, count, err := task.Evaluate(ctx, batches, "numbers", m, nil)
	return task.NewScore(n, "tokens", count, loss, loss/math.Ln2), err
}

// place is where a stream of numbers is.
type place struct{ at data.Cursor }

func (p *place) Cursor() data.Cursor { return p.at }

func (p *place) Seek(at data.Cursor) error {
	p.at = at
	return nil
}

func (n numbers) stream(s *model.Session, f task.Feed) (task.Stream, error) {
	shape := model.Shape{Rows: cmp.Or(f.Rows, n.cfg.Train.BatchSize), Length: n.cfg.Data.SeqLen()}
	p, err := f.Program(s, shape)
	if err != nil {
		return nil, err
	}
	batches, order := 4, &place{}
	if f.Endless() {
		batches = 0
	}
	inputs, targets := make([]int, shape.Rows*shape.Length), make([]int, shape.Rows*shape.Length)
	return &task.Feeder{N: batches, Order: order, Fill: func(int) (*model.Program, int, error) {
		for i := range inputs {
			first := 5*order.at.Position + 3*(i/shape.Length)
			inputs[i] = (first + i%shape.Length) % 8
			targets[i] = (inputs[i] + 1) % 8
		}
		order.at.Position++
		p.Feed(map[string][]int{"tokens": inputs, "targets": targets})
		return p, len(targets), nil
	}}, nil
}

// counting is numbers trained by gradients.
type counting struct{ numbers }

func (c counting) Shapes(rows int) []model.Shape {
	return []model.Shape{{Rows: rows, Length: c.cfg.Data.SeqLen()}}
}

func (c counting) Batches(_ context.Context, s *model.Session, f task.Feed) (task.Stream, error) {
	return c.stream(s, f)
}

// halving is numbers solved in rounds, each of which halves the table of embeddings: with none, all numbers are equally likely.
type halving struct{ numbers }

func (halving) Rounds() int { return 12 }

func (halving) Solve(_ context.Context, round int, s *nn.Store) ([]metrics.Value, error) {
	w, sum := s.Get("model.embed_tokens.weight").Float32s(), 0.0
	for i := range w {
		w[i] /= 2
		sum += float64(w[i]) * float64(w[i])
	}
	return []metrics.Value{{Name: "loss", X: sum}}, nil
}

// idle is numbers that nothing trains.
type idle struct{ numbers }

// tasksFromOutside are the program's with those of this file.
func tasksFromOutside() saved.Options {
	row := func(name string, made func(numbers) task.Task) kinds.Kind {
		return kinds.Kind{
			Name: name,
			Fits: func(c recipe.Config) error {
				if c.TaskKind() != name {
					return fmt.Errorf("is for those who name it")
				}
				return nil
			},
			Open: func(c recipe.Config, _ task.Files) (task.Task, error) { return made(numbers{c}), nil },
		}
	}
	return saved.Options{Tasks: append(kinds.All(),
		row("counting", func(n numbers) task.Task { return counting{n} }),
		row("halving", func(n numbers) task.Task { return halving{n} }),
		row("idle", func(n numbers) task.Task { return idle{n} }))}
}

// numbersConfig is a run of a task of this file.
func numbersConfig(t *testing.T, kind string) recipe.Config {
	t.Helper()
	cfg, err := recipe.Load(filepath.Join(workplace(t), "tiny.toml"), []string{"train.steps=12", "data.paths=['nowhere.txt']"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Task = &recipe.Task{Kind: kind}
	return cfg
}

// TestTasksFromOutside: a task that a caller adds to the list is trained by steps, or solved in rounds, stops and resumes to the
// same bytes, is opened and evaluated; without it a program names it.
func TestTasksFromOutside(t *testing.T) {
	ctx, known := context.Background(), tasksFromOutside()
	for _, c := range []struct {
		kind      string
		optimizer bool
		holds     func(losses []float64, score task.Score) bool
	}{
		{"counting", true, func(losses []float64, score task.Score) bool { return score.Loss() < losses[0]-0.5 }},
		{"halving", false, func(losses []float64, score task.Score) bool {
			return math.Abs(losses[11]/losses[0]-math.Pow(4, -11)) < 1e-9 && math.Abs(score.Loss()-math.Log(8)) < 1e-3
		}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			cfg, dir := numbersConfig(t, c.kind), t.TempDir()
			if _, err := train.Look(ctx, cfg, known); err != nil {
				t.Fatal(err)
			}
			whole, run := filepath.Join(dir, "whole"), filepath.Join(dir, "run")
			begin := func(run string) *train.Trainer {
				trainer, err := train.New(ctx, cfg, run, false, io.Discard, known)
				if err != nil {
					t.Fatal(err)
				}
				return trainer
			}
			result, err := begin(whole).Run(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			if losses := trainLosses(t, whole); len(losses) != 12 || !c.holds(losses, result.Score) {
				t.Errorf("losses %.6g, score %s", losses, result.Summary)
			}
			stop := 0
			if _, err := begin(run).Run(ctx, func() bool { stop++; return stop == 5 }); !errors.Is(err, shell.ErrInterrupted) {
				t.Fatalf("stopped: %v", err)
			}
			if _, _, err := train.Resume(ctx, run, "", nil, io.Discard); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", c.kind)) {
				t.Errorf("resumed without the task: got %v, want an error that names it", err)
			}
			trainer, _, err := train.Resume(ctx, run, "", nil, io.Discard, known)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := trainer.Run(ctx, nil); err != nil {
				t.Fatal(err)
			}
			sameHashes(t, filepath.Join(whole, "checkpoints", "step-000012"), filepath.Join(run, "checkpoints", "step-000012"))
			if _, done, err := train.Resume(ctx, run, "", nil, io.Discard, known); err != nil || !done {
				t.Errorf("resumed at its end: done %v, %v", done, err)
			}
			l, err := saved.Open(run, true, model.Options{}, known)
			if err != nil {
				t.Fatal(err)
			}
			if score, err := l.Task.Evaluate(ctx, l.Session, task.Measure{}); err != nil || !slices.Equal(score.Values, result.Score.Values) {
				t.Errorf("evaluated: %v (%v), want %v", score.Values, err, result.Score.Values)
			}
			if _, err := l.Files.Arrays("optimizer.npz"); (err == nil) != c.optimizer {
				t.Errorf("states of an optimizer: %v, want them: %v", err, c.optimizer)
			}
			if _, err := l.Calibrate(ctx, l.Task, 2, 1, model.Options{}); (err == nil) != c.optimizer {
				t.Errorf("calibrated: %v, want it: %v", err, c.optimizer)
			}
		})
	}
}

// TestTaskRefusals: a task that neither trains nor is solved does not run, and a solver takes no settings of steps.
func TestTaskRefusals(t *testing.T) {
	for kind, want := range map[string]string{"idle": "neither trains by steps nor is solved", "halving": "[train] ema is for tasks that train by steps"} {
		cfg := numbersConfig(t, kind)
		cfg.Train.EMA = 0.9
		if _, err := train.New(context.Background(), cfg, t.TempDir(), false, io.Discard, tasksFromOutside()); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", kind, err, want)
		}
	}
}
