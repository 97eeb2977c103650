package compress

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/model"
	"sparrow/nn"
	"sparrow/saved"
	"sparrow/task"
)

// TestWords: a table that names the embedding of words makes it one of low rank, alone or with other layers and in few bits; the
// result keeps every promise, is fine-tuned, and folds into the parent's network.
func TestWords(t *testing.T) {
	const decoder, encoder = "model.embed_tokens", "bert.embeddings.word_embeddings"
	for _, c := range []struct {
		name, from, words, method string
		tables                    []LayerConfig
		quantize                  string
	}{
		{"svd", trainedRun(t), decoder, "svd", []LayerConfig{{Match: decoder}}, ""},
		{"fwsvd and other layers", trainedRun(t), decoder, "fwsvd", []LayerConfig{{Match: "*.mlp.*"}, {Match: decoder}}, ""},
		{"int8", trainedRun(t), decoder, "svd", []LayerConfig{{Match: "*.mlp.*", Method: "quantize"}, {Match: decoder}}, "int8"},
		{"encoder", trainedEncoder(t), encoder, "fwsvd", []LayerConfig{{Match: encoder}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := configOf(t, c.from, c.method, 0.4)
			cfg.Compress.Layer = c.tables
			if c.quantize != "" {
				cfg.Compress.Ratio, cfg.Compress.Quantize = 0.8, &QuantizeConfig{}
				cfg.Compress.Quantize.SetDefaults()
			}
			cfg.Compress.Finetune = &FinetuneConfig{}
			cfg.Compress.Finetune.SetDefaults()
			cfg.Compress.Finetune.Steps, cfg.Compress.Finetune.BatchSize, cfg.Compress.Finetune.WarmupSteps = 4, 4, 0
			dir := filepath.Join(t.TempDir(), "out")
			mustRun(t, cfg, dir)
			mustVerify(t, dir)
			l, err := saved.Open(dir, false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			store := l.Session.Store()
			name, words, ok := store.Words()
			if _, low := words.Rule.Of.(nn.LowRank); !ok || name != c.words || !low {
				t.Fatalf("the words are %q %+v, want %s of low rank", name, words, c.words)
			}
			if q := store.Quantization(c.words + ".up.weight").Name(); (c.quantize == "" && q != "float32") || (c.quantize != "" && q != c.quantize) {
				t.Errorf("their factors are stored as %s, want %s", q, c.quantize)
			}
			merged := filepath.Join(t.TempDir(), "merged")
			dense, err := l.Merge(merged)
			if err != nil || dense.Get(c.words+".weight") == nil {
				t.Fatalf("merged: %v, %v", dense.Names(), err)
			}
			if _, err := saved.Open(merged, false, model.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWordsRefused: an embedding has no input to calibrate by, and its rows must be looked up; patterns do not reach it.
func TestWordsRefused(t *testing.T) {
	for _, method := range []string{"svd_llm", "asvd", "magnitude", "dsformer", "quantize", "auto"} {
		cfg := configOf(t, trainedRun(t), method, 0.4)
		cfg.Compress.Layer = []LayerConfig{{Match: "model.embed_tokens"}}
		_, err := Run(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), io.Discard)
		if err == nil || !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), `match = "model.embed_tokens" is the embedding of words`) || !strings.Contains(err.Error(), "want one of svd, fwsvd, tfwsvd") {
			t.Errorf("%s: %v", method, err)
		}
	}
	cfg := configOf(t, trainedRun(t), "svd", 0.4)
	cfg.Compress.Layer = []LayerConfig{{Match: "model.embed*"}}
	if _, err := Run(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), io.Discard); err == nil || !strings.Contains(err.Error(), "no linear layer of") {
		t.Errorf("a pattern: %v", err)
	}
}
