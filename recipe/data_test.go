package recipe

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/images"
	"sparrow/data/text"
)

func TestDefaultConfigIsValid(t *testing.T) {
	cfg := DefaultData()
	if err := configs.Validate("data: config", &cfg); err != nil {
		t.Error(err)
	}
}

func TestConfigErrors(t *testing.T) {
	const want = `unknown key "%s" in [data] of source = "%s"; it is a key of %s`
	for _, test := range []struct{ name, text, want string }{
		{"unknown source", `source = "c4"`, `[data] source = "c4" is unknown; want one of goroot, text, imdb, table, tsv, mnist, image_folder`},
		{"text without paths", `source = "text"`, `is empty; source = "text" needs files or globs`},
		{"goroot with paths", `paths = ["a.txt"]`, fmt.Sprintf(want, "paths", "goroot", "text")},
		{"empty path", "source = 'text'\npaths = ['']", "has an empty path"},
		{"unknown tokenizer", `tokenizer = "bytes"`, `tokenizer = "bytes" is unknown; want one of "byte", "char", "word", "bpe", "wordpiece", "unigram" or the path`},
		{"vocabulary too small", "tokenizer = 'bpe'\nvocab_size = 256", "vocab_size = 256 is out of range; want 257 to 65536"},
		{"vocabulary too large", "tokenizer = 'bpe'\nvocab_size = 65537", "vocab_size = 65537 is out of range"},
		{"no sequence", "seq_len = 0", "seq_len = 0 is out of range; want at least 1 token"},
		{"share of zero", "validation_share = 0", "validation_share = 0.0 is out of range"},
		{"share of one", "source = 'imdb'\nvalidation_share = 1", "validation_share = 1.0 is out of range"},
		{"share of images", "source = 'mnist'\nvalidation_share = 1", "validation_share = 1.0 is out of range"},
		{"cap of bytes", "source = 'tsv'\nmax_bytes = 5", fmt.Sprintf(want, "max_bytes", "tsv", "goroot, text")},
		{"keys of another source", "source = 'imdb'\ntrain = 'x.tsv'", fmt.Sprintf(want, "train", "imdb", "table, tsv")},
		{"folder of a file", "source = 'tsv'\nroot = 'x'", fmt.Sprintf(want, "root", "tsv", "imdb, mnist, image_folder")},
		{"size of digits", "source = 'mnist'\nimage_size = 8", fmt.Sprintf(want, "image_size", "mnist", "image_folder")},
		{"images with a tokenizer", "source = 'mnist'\ntokenizer = 'bpe'", fmt.Sprintf(want, "tokenizer", "mnist", "goroot, text, imdb, table, tsv")},
		{"augmented text", "[data.augment]\nflip = true", fmt.Sprintf(want, "augment", "goroot", "mnist, image_folder")},
		{"negative cap", "max_bytes = -1", "max_bytes = -1 is out of range"},
		{"negative cap of examples", "source = 'imdb'\nmax_examples = -1", "max_examples = -1 is out of range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := Default()
			err := configs.Decode("run.toml", []byte("[data]\n"+test.text), &cfg, configs.Options{Lists: Lists()})
			if strings.HasPrefix(test.text, "[") {
				err = configs.Decode("run.toml", []byte(test.text), &cfg, configs.Options{Lists: Lists()})
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
	cfg := DefaultData()
	configs.Edit(&cfg.OneOf, func(s *text.Goroot) { s.ValidationShare = math.NaN() })
	if err := configs.Validate("data: config", &cfg); err == nil || !strings.Contains(err.Error(), "validation_share = nan is out of range") {
		t.Errorf("share not a number: %v", err)
	}
}

// TestStoredConfigs: configs of earlier versions have the keys of all sources. They are dropped where the source has none, at
// their default of then, and are mistakes at any other value.
func TestStoredConfigs(t *testing.T) {
	const text = `[data]
source = "image_folder"
paths = []
tokenizer = "byte"
vocab_size = 4096
min_count = 2
lowercase = true
seq_len = 256
validation_share = 0.2
max_bytes = 0
max_len = 256
cut = "head"
max_examples = 0
root = "somewhere"
train = ""
validation = ""
test = ""
text_columns = []
label_column = ""
header = true
regression = false
vectors = ""
image_size = 8
mean = []
std = []
[data.augment]
flip = true
`
	for _, old := range []string{text, strings.NewReplacer(`"image_folder"`, `"goroot"`, `"somewhere"`, `""`, "image_size = 8", "image_size = 0", "[data.augment]\nflip = true", "").Replace(text)} {
		var file struct {
			Data Data `toml:"data"`
		}
		file.Data = DefaultData()
		if err := configs.Decode("config.toml", []byte(old), &file, configs.Options{Lists: Lists(), Old: OldDefaults}); err != nil {
			t.Error(err)
		}
		if folder, ok := file.Data.Of.(images.Folder); ok && (folder.Root != "somewhere" || folder.ImageSize != 8 || folder.Augment == nil) {
			t.Errorf("got %+v", folder)
		}
		old = strings.Replace(old, `train = ""`, `train = "x.tsv"`, 1)
		if err := configs.Decode("config.toml", []byte(old), &file, configs.Options{Lists: Lists(), Old: OldDefaults}); err == nil || !strings.Contains(err.Error(), `unknown key "train"`) {
			t.Errorf("a key of another source: %v", err)
		}
	}
}

// TestStoredConfigWithoutSource: earlier versions wrote an empty source of a model that comes from elsewhere.
func TestStoredConfigWithoutSource(t *testing.T) {
	const text = "[data]\nsource = ''\ntokenizer = 'byte'\nseq_len = 64\nvalidation_share = 0.05\nmax_len = 48\nheader = true\nmean = []\n"
	cfg := Default()
	if err := configs.Decode("config.toml", []byte(text), &cfg, configs.Options{Lists: Lists(), Old: OldDefaults}); err != nil {
		t.Fatal(err)
	}
	if n, ok := cfg.Data.Of.(None); !ok || n.SeqLen != 64 || n.MaxLen != 48 || !cfg.Data.IsNone() {
		t.Errorf("got %+v", cfg.Data)
	}
	encoded, err := configs.Encode(cfg)
	if err != nil || !strings.Contains(string(encoded), "[data]\nsource = \"none\"\nseq_len = 64\nmax_len = 48\ncut = \"head\"\n\n") {
		t.Errorf("written again: %v\n%s", err, encoded)
	}
	written := Default()
	if err := configs.Decode("run.toml", []byte(text), &written, configs.Options{Lists: Lists()}); err == nil || !strings.Contains(err.Error(), `source = "" is unknown; want one of goroot`) {
		t.Errorf("in a config that a person writes: %v", err)
	}
}

// TestNoneWithin: the windows of a model from elsewhere fit it, and are of lengths that a config may have.
func TestNoneWithin(t *testing.T) {
	for _, c := range []struct{ context, seqLen, maxLen int }{{64, 64, 64}, {4096, 1024, 4096}, {131072, 1024, 65536}} {
		s := NoneWithin(c.context)
		if err := data.Check(s); err != nil || s.SeqLen != c.seqLen || s.MaxLen != c.maxLen {
			t.Errorf("context %d: %+v, %v; want windows of %d and texts of %d", c.context, s, err, c.seqLen, c.maxLen)
		}
	}
}

// quotes is a source of text that another module brings.
type quotes struct {
	text.Files
	Speaker string `toml:"speaker" doc:"who is quoted"`
}

func (quotes) Name() string { return "quotes" }

// TestSourceOfAnotherModule: a source in a longer list is chosen by its name, has its own keys and says by itself what it gives.
func TestSourceOfAnotherModule(t *testing.T) {
	lists := configs.With(Lists(), configs.Choice[data.Source]{Name: "quotes", New: func() data.Source { return quotes{Files: text.DefaultFiles()} }})
	cfg := Default()
	const file = "[data]\nsource = 'quotes'\nspeaker = 'Ada'\npaths = ['a.txt']\nseq_len = 32\n"
	if err := configs.Decode("run.toml", []byte(file), &cfg, configs.Options{Lists: lists}); err != nil {
		t.Fatal(err)
	}
	if s, ok := cfg.Data.Of.(quotes); !ok || s.Speaker != "Ada" || cfg.Data.SeqLen() != 32 || cfg.Data.Gives() != "text without labels" {
		t.Errorf("got %+v", cfg.Data)
	}
	plain := Default()
	if err := configs.Decode("run.toml", []byte(file), &plain, configs.Options{Lists: Lists()}); err == nil {
		t.Error("the shipped list has it as well")
	}
}

// TestSourcesNameThemselves: the list and the sources agree on their names.
func TestSourcesNameThemselves(t *testing.T) {
	for _, c := range Sources() {
		if s := c.New(); s.Name() != c.Name {
			t.Errorf("source %q calls itself %q", c.Name, s.Name())
		}
	}
}

func TestValidateReportsEveryKey(t *testing.T) {
	var file struct {
		Data Data `toml:"data"`
	}
	file.Data = DefaultData()
	const text = `[data]
source = "goroot"
tokenizer = "bpe"
vocab_size = 12
seq_len = 0
validation_share = 2.0
max_bytes = -5
`
	err := configs.Decode("run.toml", []byte(text), &file, configs.Options{Lists: Lists()})
	if !errors.Is(err, configs.ErrConfig) {
		t.Fatalf("got error %v, want ErrConfig", err)
	}
	for _, want := range []string{
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
	if err := configs.Decode("run.toml", []byte("[data]\nseq_len = 64\n"), &file, configs.Options{Lists: Lists()}); err != nil {
		t.Errorf("a sound table: %v", err)
	}
}
