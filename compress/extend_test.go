package compress_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/compress"
	"sparrow/configs"
	"sparrow/data/text"
	"sparrow/factor"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/train"
)

// halves is a method from outside: it keeps half of the first singular values that are worth their bytes.
type halves struct{ Share float64 }

func (h halves) Needs() compress.Needs { return compress.Needs{} }

func (h halves) rank(t compress.Target) int {
	return max(1, int(h.Share*float64(t.Out*t.In/(t.Out+t.In))))
}

func (h halves) Options(ctx context.Context, t compress.Target, s *compress.Statistics) ([]compress.Option, *factor.SVD, error) {
	d, err := factor.TruncatedSVD(ctx, t.Weight, h.rank(t), nil)
	if err != nil {
		return nil, nil, err
	}
	rest := t.Weight.Clone()
	for i, x := range d.Product().Data {
		rest.Data[i] -= x
	}
	share := rest.Norm() / t.Weight.Norm()
	return []compress.Option{{Rank: h.rank(t), Loss: share * share}}, nil, nil
}

func (h halves) Linear(t compress.Target, o compress.Option) (nn.Rule, error) {
	return nn.Rule{OneOf: nn.As(nn.LowRank{Rank: o.Rank})}, nil
}

func (h halves) Apply(ctx context.Context, t compress.Target, s *compress.Statistics, o compress.Option) (*compress.Form, error) {
	d, err := factor.TruncatedSVD(ctx, t.Weight, o.Rank, nil)
	if err != nil {
		return nil, err
	}
	up, down := d.Split()
	return compress.LowRankForm(up, down), nil
}

// TestMethodFromOutside: a method that a caller adds to the list is planned, applied, kept in the journal and verified like
// those of the package; a reader that does not know it says so.
func TestMethodFromOutside(t *testing.T) {
	dir := t.TempDir()
	corpus := filepath.Join(dir, "corpus.txt")
	if err := os.WriteFile(corpus, []byte(strings.Repeat("a line of text\n", 200)), 0o644); err != nil {
		t.Fatal(err)
	}
	run := recipe.Default()
	from := text.DefaultFiles()
	from.Paths, from.SeqLen = []string{corpus}, 16
	run.Data = recipe.From(from)
	configs.Edit(&run.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
	run.Train.Steps, run.Train.BatchSize, run.Eval.Every, run.Eval.Tokens = 2, 4, 2, 128
	trainer, err := train.New(context.Background(), run, filepath.Join(dir, "run"), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}

	toy := compress.Choice{Name: "halves", New: func(compress.Settings) compress.Method { return halves{0.5} }}
	more := compress.Options{Methods: []compress.Choice{toy}}
	file := filepath.Join(dir, "c.toml")
	text := "[compress]\nfrom = '" + filepath.Join(dir, "run") + "'\nmethod = \"halves\"\nratio = 0.3\nallocation = \"uniform\"\ncache = '" + filepath.Join(dir, "cache") + "'\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := compress.Load(file, nil); err == nil || !strings.Contains(err.Error(), `method = "halves" is unknown`) {
		t.Errorf("without the method: %v", err)
	}
	cfg, err := compress.Load(file, nil, more)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	result, err := compress.Run(context.Background(), cfg, out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o := result.Layers[0].Option; o.Method != "halves" || o.Rank == 0 || o.Bytes == 0 {
		t.Errorf("the first layer became %+v", o)
	}
	v, err := compress.Verify(context.Background(), out, io.Discard, more)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Err(); err != nil {
		t.Error(err)
	}
}
