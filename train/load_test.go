package train

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/model/decoder"
)

// TestLoadTakesTheNetwork: a file with init_from and no [model] has the checkpoint's network and reads its data with its
// tokenizer; one with a [model] of its own has that, and one that chooses a tokenizer keeps its choice.
func TestLoadTakesTheNetwork(t *testing.T) {
	cfg := smallConfig(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.Dropout = 24, 0.25 })
	parent := filepath.Join(t.TempDir(), "parent")
	mustTrain(t, cfg, parent, nil)
	text, err := configs.Encode(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "child.toml")
	write := func(more string) {
		t.Helper()
		data := strings.ReplaceAll(string(text), "tokenizer = \"byte\"\n", "")
		if err := os.WriteFile(file, []byte("[data]\n"+data+more), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("[train]\nsteps = 2\ninit_from = '" + parent + "'\n")
	child, like, err := Load(file, []string{"model.dropout=0.5"})
	if err != nil || like == nil {
		t.Fatalf("like %v: %v", like, err)
	}
	if b := child.Model.Of.(decoder.Config); b.DModel != 24 || b.Dropout != 0.5 {
		t.Errorf("width %d, dropout %v; want the checkpoint's 24 and the override's 0.5", b.DModel, b.Dropout)
	}
	if c, _ := child.Data.Tokenizer(); !strings.HasPrefix(c.Tokenizer, filepath.ToSlash(like.Dir)) {
		t.Errorf("tokenizer = %q, want that of %s", c.Tokenizer, like.Dir)
	}
	p, err := LookFrom(context.Background(), like, child)
	if err != nil || p.dims.VocabSize != 256 {
		t.Errorf("a dry run: vocabulary of %d: %v", p.dims.VocabSize, err)
	}
	out := filepath.Join(t.TempDir(), "out")
	trainer, err := NewFrom(context.Background(), like, child, out, false, io.Discard)
	if err == nil {
		_, err = trainer.Run(context.Background(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	write("tokenizer = \"byte\"\n[train]\ninit_from = '" + parent + "'\n")
	if child, like, err = Load(file, nil); err != nil || like != nil || child.Model.Of.(decoder.Config).DModel != 24 {
		t.Errorf("a tokenizer of its own: like %v, width %d: %v", like, child.Model.Of.(decoder.Config).DModel, err)
	}
	write("[model]\nn_layer = 2\n[train]\ninit_from = '" + parent + "'\n")
	if child, like, err = Load(file, nil); err != nil || like != nil || child.Model.Of.(decoder.Config).DModel != decoder.Default().DModel {
		t.Errorf("a network of its own: like %v, width %d: %v", like, child.Model.Of.(decoder.Config).DModel, err)
	}
	write("[train]\n")
	if child, like, err = Load(file, []string{"train.init_from=none"}); err != nil || like != nil || child.Train.InitFrom != "none" {
		t.Errorf("a checkpoint that is not there: like %v: %v", like, err)
	}
}
