package tests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/text"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
)

// squares is a source of text from outside, which reads no file: lines of numbers and their squares.
type squares struct {
	Count int `toml:"count" doc:"numbers"`
	text.Options
}

func (squares) Name() string { return "squares" }

func (s squares) Validate(r *configs.Report) { r.AtLeast("count", 2) }

func (s squares) Read(context.Context) (*text.Splits, error) {
	c := &text.Splits{Files: 1}
	train := int(float64(s.Count) * (1 - s.ValidationShare))
	c.Train.Add(s.lines(0, train), "squares", 0)
	c.Validation.Add(s.lines(train, s.Count), "squares", 0)
	return c, nil
}

func (s squares) lines(from, to int) (lines []byte) {
	for i := from; i < to; i++ {
		lines = fmt.Appendf(lines, "%d %d\n", i, i*i)
	}
	return lines
}

func (s squares) Look(context.Context) (data.Survey, error) {
	return data.Survey{Files: 1, Bytes: int64(len(s.lines(0, s.Count)))}, nil
}

// TestSourceFromOutside: a source that a caller adds to the list is chosen by a config and feeds a task that comes with the
// program: a language model trains on it, resumes, is opened and evaluated, compressed and verified.
func TestSourceFromOutside(t *testing.T) {
	o := outsider{
		name: "squares", beside: "goroot",
		lists: configs.With(recipe.Lists(), configs.Choice[data.Source]{Name: "squares", New: func() data.Source {
			return squares{Count: 100, Options: text.DefaultOptions()}
		}}),
		dir: workplace(t), set: []string{`data={source="squares",count=400,seq_len=16,validation_share=0.2}`}, steps: 12, stop: 5, around: "*.mlp.*",
	}
	if losses := o.train(t); losses[11] > losses[0]-0.3 {
		t.Errorf("losses %.3f do not fall", losses)
	}
	o.compress(t, map[string]string{"model.layers.0.mlp.up_proj": "low_rank"})
}

// bag is a network from outside: the vector of a text is the mean of its words' vectors.
type bag struct {
	Width int `toml:"width" doc:"of a word's vector" unit:"neurons"`
}

func (bag) Blocks() int                { return 0 }
func (k bag) Layout() string           { return fmt.Sprintf("a bag of words of width %d", k.Width) }
func (bag) Validate(r *configs.Report) { r.AtLeast("width", 1) }

func (k bag) Pool(g *model.Graph, t model.Text) *G.Node {
	rows, length := g.Shape.Rows, g.Shape.Length
	x := nn.NewEmbedding(g.Sub("words"), t.Vocab, k.Width, nn.Normal(0.2)).Forward(g.Ints("tokens", rows*length)) // [B*T, D]
	return op.TimeMean(g.Tape, x, g.Ints("lengths", rows), rows, length)                                          // [B, D]
}

func (k bag) Head(g *model.Graph, x *G.Node, outputs int) *G.Node {
	hidden := nn.NewLinear(g.Sub("hidden"), k.Width, k.Width, true, nn.Normal(0.2)).Forward(x)
	return nn.NewHead(g.Sub("scores"), k.Width, outputs, true, nn.Normal(0.2)).Forward(op.Activation(g.Tape, "relu", hidden)) // [B, C]
}

// bagConfig is tiny.toml for TestNetworkFromOutside.
const bagConfig = `name = "tiny"
[data]
source = "tsv"
text_columns = ["text"]
label_column = "label"
tokenizer = "word"
min_count = 1
max_len = 8
validation_share = 0.25
[model]
kind = "bag"
width = 12
[train]
batch_size = 16
learning_rate = 0.1
warmup_steps = 1
[eval]
every = 4
[checkpoint]
every = 4
`

// TestNetworkFromOutside: so is a network, whose task is one that comes with the program and wants what the network gives.
func TestNetworkFromOutside(t *testing.T) {
	dir := t.TempDir()
	texts := []byte("text\tlabel\n")
	for i := range 80 {
		texts = fmt.Appendf(texts, "it is a %s film %d\t%s\n", []string{"good", "poor"}[i%2], i%7, []string{"yes", "no"}[i%2])
	}
	for name, content := range map[string][]byte{"tiny.toml": []byte(bagConfig), "texts.tsv": texts} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := outsider{
		name: "bag", beside: "decoder",
		lists: configs.With(recipe.Lists(), configs.Choice[model.Body]{Name: "bag", New: func() model.Body { return bag{Width: 8} }}),
		dir:   dir, set: []string{fmt.Sprintf("data.train=%q", filepath.ToSlash(filepath.Join(dir, "texts.tsv")))}, steps: 12, stop: 5, around: "hidden",
	}
	if losses := o.train(t); losses[11] > losses[0]-0.1 {
		t.Errorf("losses %.3f do not fall", losses)
	}
	o.holds(t, "hidden.", "bias", "weight")
	o.compress(t, map[string]string{"hidden": "low_rank"})
}
