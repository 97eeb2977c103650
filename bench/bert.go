package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sparrow/compress"
	"sparrow/data/labelled"
	"sparrow/model/encoder"
	"sparrow/recipe"
	"sparrow/train"
)

// bertConfig is an encoder and its data.
type bertConfig struct {
	DModel int `json:"d_model"`
	NLayer int `json:"n_layer"`
	NHead  int `json:"n_head"`
	DFF    int `json:"d_ff"`
}

// bertBase has 85 million weights in 72 matrices, beside embeddings of few words.
var bertBase = bertConfig{DModel: 768, NLayer: 12, NHead: 12, DFF: 3072}

// compressBERT measures `compress run` of an encoder of BERT-base's size by FWSVD to half of its bytes, from loading the
// checkpoint to measuring the result, without the Fisher information, which is taken from the cache. There is no peer.
func (b *bench) compressBERT(name string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := b.ours.ask(request{"cmd": "bert", "bert": bertBase, "dir": dir, "threads": b.threads}); err != nil {
		return err
	}
	a, err := b.ours.ask(request{"cmd": "compress", "dir": dir, "threads": b.threads})
	if err != nil {
		return err
	}
	m := *b
	m.peer = nil
	out := m.result(name, "s", a.Seconds[0], 0)
	if err := m.memory(&out); err != nil {
		return err
	}
	out.Note = fmt.Sprintf("%d layers of %.1f million weights, %.1f million of which remain; one run", a.Layers, a.Values[0]/1e6, a.Values[1]/1e6)
	b.emit(out)
	return nil
}

// bertFolder has the checkpoint of an encoder in run and the Fisher information of its layers in cache.
func bertFolder(dir string, c bertConfig) error {
	text := filepath.Join(dir, "texts.tsv")
	var lines strings.Builder
	lines.WriteString("text\tlabel\n")
	for i := range 64 {
		fmt.Fprintf(&lines, "%s %d of %d%s\t%s\n", []string{"good", "bad"}[i%2], i, i*i%17, strings.Repeat(" word", i%11), []string{"pos", "neg"}[i%2])
	}
	if err := os.WriteFile(text, []byte(lines.String()), 0o644); err != nil {
		return err
	}
	cfg := recipe.Default()
	body := encoder.Default()
	from := labelled.DefaultTable()
	from.Train, from.TextColumns, from.LabelColumn = text, []string{"text"}, "label"
	from.Tokenizer, from.MinCount, from.MaxLen, from.ValidationShare = "word", 1, 16, 0.2
	cfg.Data = recipe.From(from)
	body.DModel, body.NLayer, body.DFF, body.Attention.NHead = c.DModel, c.NLayer, c.DFF, c.NHead
	cfg.Model = recipe.ModelOf(body)
	cfg.Train.Steps, cfg.Train.BatchSize = 1, 1
	cfg.Train.Freeze = []recipe.Freeze{{Match: "bert.encoder.layer.*"}} // whose moments would triple the file
	t, err := train.New(context.Background(), cfg, filepath.Join(dir, "run"), false, io.Discard)
	if err != nil {
		return err
	}
	if _, err := t.Run(context.Background(), nil); err != nil {
		return err
	}
	// A plan that decomposes nothing and asks for the same Fisher information.
	plan := bertCompression(dir)
	plan.Compress.Method = "quantize"
	_, err = compress.MakePlan(context.Background(), plan, io.Discard)
	return err
}

func bertCompression(dir string) compress.Config {
	cfg := compress.DefaultConfig()
	cfg.Compress.From, cfg.Compress.Ratio, cfg.Compress.Cache = filepath.Join(dir, "run"), 0.5, filepath.Join(dir, "cache")
	cfg.Compress.Calibration.Examples = 4
	cfg.Compress.Layer = []compress.LayerConfig{{Match: "bert.encoder.layer.*"}}
	return cfg
}

// compressFolder times a compression of what bertFolder made. Values are the layers' weights before and after.
func compressFolder(dir string) (reply, error) {
	out := filepath.Join(dir, "out")
	if err := os.RemoveAll(out); err != nil {
		return reply{}, err
	}
	cfg := bertCompression(dir)
	var messages strings.Builder
	began := time.Now()
	_, err := compress.Run(context.Background(), cfg, out, &messages)
	took := time.Since(began).Seconds()
	if err != nil {
		return reply{}, err
	}
	if !strings.Contains(messages.String(), "fisher: taken from") {
		return reply{}, fmt.Errorf("compress: the Fisher information was not in the cache:\n%s", messages.String())
	}
	var plan compress.Plan
	text, err := os.ReadFile(filepath.Join(out, "plan", "plan.json"))
	if err == nil {
		err = json.Unmarshal(text, &plan)
	}
	return reply{Seconds: []float64{took}, Layers: len(plan.Layers), Values: []float64{float64(plan.Before.Params), float64(plan.After.Params)}}, err
}
