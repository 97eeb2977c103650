package data

import (
	"errors"
	"math"
	"strings"
	"testing"

	"sparrow/configs"
)

func TestDefaultConfigIsValid(t *testing.T) {
	cfg := DefaultConfig()
	if err := cfg.check(); err != nil {
		t.Error(err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"unknown source", func(c *Config) { c.Source = "c4" }, `data: config: source = "c4" is unknown; want one of "goroot", "text", "imdb", "tsv", "mnist", "image_folder"`},
		{"text without paths", func(c *Config) { c.Source = "text" }, `is empty; source = "text" needs files or globs`},
		{"goroot with paths", func(c *Config) { c.Paths = []string{"a.txt"} }, `paths = []string{"a.txt"} is for source = "text", but source = "goroot"`},
		{"empty path", func(c *Config) { c.Source, c.Paths = "text", []string{""} }, "has an empty path"},
		{"unknown tokenizer", func(c *Config) { c.Tokenizer = "bytes" }, `tokenizer = "bytes" is unknown; want one of "byte", "char", "word", "bpe", "wordpiece" or the path`},
		{"vocabulary too small", func(c *Config) { c.Tokenizer, c.VocabSize = "bpe", 256 }, "vocab_size = 256 is out of range; want 257 to 65536"},
		{"vocabulary too large", func(c *Config) { c.Tokenizer, c.VocabSize = "bpe", 65537 }, "vocab_size = 65537 is out of range"},
		{"no sequence", func(c *Config) { c.SeqLen = 0 }, "seq_len = 0 is out of range; want at least 1 token"},
		{"share of zero", func(c *Config) { c.ValidationShare = 0 }, "validation_share = 0 is out of range"},
		{"share of one", func(c *Config) { c.ValidationShare = 1 }, "validation_share = 1 is out of range"},
		{"share not a number", func(c *Config) { c.ValidationShare = math.NaN() }, "validation_share = NaN is out of range"},
		{"negative cap", func(c *Config) { c.MaxBytes = -1 }, "max_bytes = -1 is out of range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := DefaultConfig()
			test.change(&cfg)
			_, err := Open(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestValidateReportsEveryKey(t *testing.T) {
	var file struct {
		Data Config `toml:"data"`
	}
	file.Data = DefaultConfig()
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
	file.Data = DefaultConfig()
	if err := configs.Decode("run.toml", []byte("[data]\nseq_len = 64\n"), &file, configs.Options{}); err != nil {
		t.Errorf("a sound table: %v", err)
	}
}
