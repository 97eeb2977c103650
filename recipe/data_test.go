package recipe

import (
	"errors"
	"math"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/data/text"
)

func TestDefaultConfigIsValid(t *testing.T) {
	cfg := DefaultData()
	if err := configs.Validate("data: config", &cfg); err != nil {
		t.Error(err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Data)
		want   string
	}{
		{"unknown source", func(c *Data) { c.Source = "c4" }, `data: config: source = "c4" is unknown; want one of "goroot", "text", "imdb", "tsv", "mnist", "image_folder"`},
		{"text without paths", func(c *Data) { c.Source = "text" }, `is empty; source = "text" needs files or globs`},
		{"goroot with paths", func(c *Data) { c.Paths = []string{"a.txt"} }, `paths = ["a.txt"] is for source = "text", but source = "goroot"`},
		{"empty path", func(c *Data) { c.Source, c.Paths = "text", []string{""} }, "has an empty path"},
		{"unknown tokenizer", func(c *Data) { c.Tokenizer = "bytes" }, `tokenizer = "bytes" is unknown; want one of "byte", "char", "word", "bpe", "wordpiece" or the path`},
		{"vocabulary too small", func(c *Data) { c.Tokenizer, c.VocabSize = "bpe", 256 }, "vocab_size = 256 is out of range; want 257 to 65536"},
		{"vocabulary too large", func(c *Data) { c.Tokenizer, c.VocabSize = "bpe", 65537 }, "vocab_size = 65537 is out of range"},
		{"no sequence", func(c *Data) { c.SeqLen = 0 }, "seq_len = 0 is out of range; want at least 1 token"},
		{"share of zero", func(c *Data) { c.ValidationShare = 0 }, "validation_share = 0.0 is out of range"},
		{"share of one", func(c *Data) { c.ValidationShare = 1 }, "validation_share = 1.0 is out of range"},
		{"share not a number", func(c *Data) { c.ValidationShare = math.NaN() }, "validation_share = nan is out of range"},
		{"cap of bytes", func(c *Data) {
			c.Source, c.Train, c.TextColumns, c.LabelColumn, c.MaxBytes = "tsv", "x.tsv", []string{"text"}, "label", 5
		},
			`max_bytes = 5 is for sources "goroot" and "text", but source = "tsv"; want max_examples`},
		{"keys of another source", func(c *Data) { c.Source, c.Train = "imdb", "x.tsv" }, `train = "x.tsv" is for source = "tsv", but source = "imdb"`},
		{"negative cap", func(c *Data) { c.MaxBytes = -1 }, "max_bytes = -1 is out of range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := DefaultData()
			test.change(&cfg)
			err := configs.Validate("data: config", &cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestSourcesOfAnotherKind(t *testing.T) {
	cfg := DefaultData()
	cfg.Source = "tsv"
	if _, err := text.Open(t.Context(), cfg.Text()); err == nil || !strings.Contains(err.Error(), `source = "tsv" has labelled examples`) {
		t.Errorf("text of labelled examples: %v", err)
	}
	cfg.Source = "mnist"
	if _, err := labelled.Open(t.Context(), cfg.Labelled()); err == nil || !strings.Contains(err.Error(), `source = "mnist" has no labels`) {
		t.Errorf("labelled texts of images: %v", err)
	}
	cfg.Source = "imdb"
	if _, err := images.Open(t.Context(), cfg.Images()); err == nil || !strings.Contains(err.Error(), `source = "imdb" has no images`) {
		t.Errorf("images of texts: %v", err)
	}
}

func TestValidateReportsEveryKey(t *testing.T) {
	var file struct {
		Data Data `toml:"data"`
	}
	file.Data = DefaultData()
	const text = `[data]
source = "c4"
tokenizer = "bpe"
vocab_size = 12
seq_len = 0
validation_share = 2.0
max_bytes = -5
`
	err := configs.Decode("run.toml", []byte(text), &file, configs.Options{})
	if !errors.Is(err, configs.ErrConfig) {
		t.Fatalf("got error %v, want ErrConfig", err)
	}
	for _, want := range []string{
		`run.toml:2: [data] source = "c4" is unknown; want one of "goroot", "text", "imdb", "tsv", "mnist", "image_folder"`,
		`run.toml:4: [data] vocab_size = 12 is out of range; want 257 to 65536`,
		`run.toml:5: [data] seq_len = 0 is out of range; want at least 1 token`,
		`run.toml:6: [data] validation_share = 2.0 is out of range; want more than 0 and less than 1`,
		`run.toml:7: [data] max_bytes = -5 is out of range; want 0 (all) or more`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no line %q in\n%v", want, err)
		}
	}
	file.Data = DefaultData()
	if err := configs.Decode("run.toml", []byte("[data]\nseq_len = 64\n"), &file, configs.Options{}); err != nil {
		t.Errorf("a sound table: %v", err)
	}
}
