package recipe

import (
	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
)

// Data is the [data] table of a run: the keys of every source.
type Data struct {
	Source string   `toml:"source" doc:"where the data comes from" choices:"goroot|text|imdb|tsv|mnist|image_folder"`
	Paths  []string `toml:"paths" doc:"files or globs, relative to the working directory; a glob has no **"`

	tokenizers.Config
	text.Limits
	labelled.Lengths
	MaxExamples int    `toml:"max_examples" doc:"most examples of each file or split, chosen by hashes, so that a small run starts fast; 0: all"`
	Root        string `toml:"root" doc:"folder of the images, or one with the files of imdb or mnist; empty: they come from the Go module"`

	labelled.TSV
	Vectors string `toml:"vectors" doc:"file of pretrained word vectors in GloVe's text format, for the word tokenizer; empty: none"`

	images.Pixels
}

// DefaultData returns the values of keys that a config leaves out.
func DefaultData() Data {
	return Data{Source: "goroot", Config: tokenizers.DefaultConfig(), Limits: text.DefaultLimits(), Lengths: labelled.DefaultLengths(), TSV: labelled.DefaultTSV()}
}

// IsNone reports whether there are no data: the model comes from elsewhere.
func (c *Data) IsNone() bool { return c.Source == "" }

// IsLabelled reports whether the source has labelled texts.
func (c *Data) IsLabelled() bool { return c.Source == "imdb" || c.Source == "tsv" }

// IsImages reports whether the source has labelled images.
func (c *Data) IsImages() bool { return c.Source == "mnist" || c.Source == "image_folder" }

// Text has the keys of sources of text.
func (c *Data) Text() text.Config {
	return text.Config{Source: c.Source, Paths: c.Paths, Config: c.Config, Limits: c.Limits}
}

// Labelled has the keys of sources of labelled texts.
func (c *Data) Labelled() labelled.Config {
	return labelled.Config{Source: c.Source, Config: c.Config, ValidationShare: c.ValidationShare, Lengths: c.Lengths,
		MaxExamples: c.MaxExamples, Root: c.Root, TSV: c.TSV, Vectors: c.Vectors}
}

// Images has the keys of sources of images.
func (c *Data) Images() images.Config {
	return images.Config{Source: c.Source, ValidationShare: c.ValidationShare, MaxExamples: c.MaxExamples, Root: c.Root, Pixels: c.Pixels}
}

// sources lists the values of Config.Source for messages.
var sources = append(append(append([]string{}, text.Sources...), labelled.Sources...), images.Sources...)

// Validate reports every key that is wrong, as far as that shows without reading a file. The structs inside report theirs.
func (c *Data) Validate(r *configs.Report) {
	switch {
	case c.IsNone():
	case c.IsLabelled():
		c.Labelled().Validate(r)
	case c.IsImages():
		c.Images().Validate(r)
	case c.Source == "goroot" || c.Source == "text":
		c.Text().Validate(r)
	default:
		r.Errorf("source", "is unknown; want one of %s", data.Quoted(sources))
	}
	data.CheckMaxExamples(r, c.MaxExamples)
	if c.Vectors != "" && c.Tokenizer != "word" {
		r.Errorf("vectors", `is for tokenizer = "word", but tokenizer = %q`, c.Tokenizer)
	}
	c.foreign(r)
}

// foreign reports the keys that the source has no use for.
func (c *Data) foreign(r *configs.Report) {
	if c.Source != "text" && len(c.Paths) > 0 {
		r.Errorf("paths", `is for source = "text", but source = %q`, c.Source)
	}
	if c.MaxBytes > 0 && (c.IsLabelled() || c.IsImages()) {
		r.Errorf("max_bytes", `is for sources "goroot" and "text", but source = %q; want max_examples`, c.Source)
	}
	if c.Root != "" && c.Source != "imdb" && !c.IsImages() {
		r.Errorf("root", `is for sources "imdb", "mnist" and "image_folder", but source = %q`, c.Source)
	}
	if c.ImageSize != 0 && c.Source != "image_folder" {
		r.Errorf("image_size", `is for source = "image_folder", but source = %q`, c.Source)
	}
	for _, key := range []struct {
		name string
		set  bool
	}{
		{"train", c.Train != ""}, {"validation", c.Validation != ""}, {"test", c.Test != ""}, {"text_columns", len(c.TextColumns) > 0},
		{"label_column", c.LabelColumn != ""}, {"header", !c.Header}, {"regression", c.Regression},
	} {
		if key.set && c.Source != "tsv" {
			r.Errorf(key.name, `is for source = "tsv", but source = %q`, c.Source)
		}
	}
	for _, key := range []struct {
		name string
		set  bool
	}{{"mean", len(c.Mean) > 0}, {"std", len(c.Std) > 0}, {"augment.flip", c.Augment != nil}} {
		if key.set && !c.IsImages() {
			r.Errorf(key.name, `is for sources "mnist" and "image_folder", but source = %q`, c.Source)
		}
	}
}
