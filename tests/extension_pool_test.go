package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
)

// squeezed is a pooling from outside: the mean of states that a matrix has made narrower.
type squeezed struct {
	To int `toml:"to" doc:"width of a text's vector" unit:"neurons"`
}

func (squeezed) Validate(r *configs.Report) { r.AtLeast("to", 1) }

func (k squeezed) New(b *nn.Builder, width int) attention.Pooling {
	return squeezedPooling{b, k.To, nn.NewLinear(b.Sub("squeeze"), width, k.To, false, nn.Uniform(0.1))}
}

// squeezedPooling is the layer of squeezed.
type squeezedPooling struct {
	b       *nn.Builder
	width   int
	squeeze nn.Linear
}

func (p squeezedPooling) Width() int { return p.width }

func (p squeezedPooling) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	return op.TimeMean(p.b.Tape, p.squeeze.Forward(states), seq.Lengths, seq.Batch, seq.SeqLen)
}

// textsConfig is tiny.toml for TestPoolFromOutside.
const textsConfig = `name = "tiny"
[data]
source = "tsv"
validation_share = 0.25
text_columns = ["text"]
label_column = "label"
tokenizer = "word"
min_count = 1
max_len = 8
[model]
kind = "lama"
[model.lama]
embed_dim = 8
hidden = 4
classifier_hidden = 6
[model.lama.pooling]
kind = "squeezed"
to = 5
[train]
batch_size = 4
warmup_steps = 1
[eval]
every = 2
[checkpoint]
every = 2
`

// TestPoolFromOutside: a pooling of a caller's is one more kind of [model.lama.pooling].
func TestPoolFromOutside(t *testing.T) {
	dir := t.TempDir()
	var table strings.Builder
	table.WriteString("text\tlabel\n")
	for i := range 24 {
		fmt.Fprintf(&table, "the film number %d was %s\t%d\n", i, []string{"dull", "fine"}[i%2], i%2)
	}
	for name, text := range map[string]string{"tiny.toml": textsConfig, "reviews.tsv": table.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := outsider{
		name: "squeezed", beside: "structured",
		lists: configs.With(recipe.Lists(), configs.Choice[attention.Pool]{Name: "squeezed", New: func() attention.Pool { return squeezed{To: 3} }}),
		dir:   dir, set: []string{fmt.Sprintf("data.train=%q", filepath.ToSlash(filepath.Join(dir, "reviews.tsv")))}, steps: 3, stop: 2, around: "model.pooling.*",
	}
	o.train(t)
	o.holds(t, "model.pooling.", "squeeze.weight")
	o.compress(t, map[string]string{"model.pooling.squeeze": "low_rank"})
}
