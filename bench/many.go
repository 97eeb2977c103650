package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"gorgonia.org/tensor"

	"sparrow"
	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/internal/measure"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task/kinds"
)

// callers is how many goroutines ask one model at the same time.
const callers = 64

// serveMany measures vectors of texts that 64 goroutines ask of one sparrow.Model, as a service does: with one core and one thread,
// and with two. There is no peer; the gain is the row NAME/speedup.
func (b *bench) serveMany(name string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := b.ours.ask(request{"cmd": "many-load", "dir": filepath.Join(dir, "model"), "threads": b.threads}); err != nil {
		return err
	}
	var seconds []float64
	for round := range b.rounds + 1 {
		a, err := b.ours.ask(request{"cmd": "many", "repeat": 4})
		if err != nil {
			return err
		}
		if round > 0 {
			seconds = append(seconds, a.Seconds...)
		}
	}
	m := *b
	m.peer = nil
	out := m.result(name, "s", measure.Median(seconds), 0)
	if err := m.memory(&out); err != nil {
		return err
	}
	out.Note = fmt.Sprintf("%d goroutines, %.0f texts a second", callers, callers*4/out.Ours)
	b.emit(out)
	return nil
}

// loadMany writes a sentence encoder of MiniLM's depth and half its width with drawn weights, and opens it for as many cores as there
// are threads.
func (w *worker) loadMany(c command) error {
	runtime.GOMAXPROCS(c.Threads)
	cfg := recipe.Default()
	text := `name = "many"
[task]
kind = "sentence"
[data]
source = "none"
seq_len = 128
[model]
kind = "encoder"
d_model = 192
n_layer = 6
d_ff = 768
context = 128
[model.attention]
n_head = 6
[model.sentence]
pooling = "mean"
normalize = true
`
	if err := configs.Decode("many", []byte(text), &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
		return err
	}
	files := inMemory{"tokenizer.json": []byte("{\"type\": \"byte\"}\n")}
	t, err := kinds.Open(kinds.All(), cfg, files)
	if err != nil {
		return err
	}
	dims, err := t.Dims()
	if err != nil {
		return err
	}
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.Model.NewSession(dims, store, model.Options{}); err != nil {
		return err
	}
	for _, name := range store.Names() {
		rng.FillNormal(rng.New(1, name, 0), store.Get(name).Float32s(), 0, 0.02)
	}
	out, err := saved.Contents(cfg, t, store, map[string][]byte{"state.json": []byte("{}"), "tokenizer.json": files["tokenizer.json"]})
	if err != nil {
		return err
	}
	if err := checkpoints.Write(c.Dir, out); err != nil {
		return err
	}
	w.many, err = sparrow.Open(context.Background(), c.Dir, sparrow.Options{})
	return err
}

// inMemory are the files of a checkpoint by their names.
type inMemory map[string][]byte

func (inMemory) Dir() string { return "memory" }

func (f inMemory) File(name string) ([]byte, error) {
	text, ok := f[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return text, nil
}

// askMany is the time in which each of 64 goroutines asks that often.
func (w *worker) askMany(repeat int) (reply, error) {
	errs := make([]error, callers)
	began := time.Now()
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for k := range repeat {
				text := strings.Repeat("some words of a sentence ", 2)[:20+(i+k)%28]
				if _, err := w.many.Embed(context.Background(), []string{text}, sparrow.EmbedOptions{}); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	all.Wait()
	return reply{Seconds: []float64{time.Since(began).Seconds()}}, errors.Join(errs...)
}
