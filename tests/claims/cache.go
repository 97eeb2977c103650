package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/recipe"
)

// cache keeps the result of each finished run as a small JSON file, named by the
// hash of what decides it: the resolved config and the corpus. The program is not
// part of it, so that a refactoring does not cost hours; after a change that
// matters, use another folder. Each result tells the commit that it came from.
type cache struct {
	dir     string
	corpora map[string]string // SHA-256 of the text that a [data] table names
}

func openCache(dir string) (*cache, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: --cache %s: %w", errUsage, dir, err)
	}
	return &cache{dir: dir, corpora: map[string]string{}}, nil
}

// key names a run. Tuning runs of classifiers have names of their own, for they
// are not measured on the test split.
func (c *cache) key(ctx context.Context, cfg recipe.Config, tuning bool) (string, error) {
	corpus, err := c.corpus(ctx, cfg.Data)
	if err != nil {
		return "", err
	}
	if folder, ok := cfg.Data.Of.(images.Folder); ok {
		folder.Root = "" // the same images in another place are the same
		cfg.Data = recipe.From(folder)
	}
	text, err := configs.Encode(cfg)
	if err != nil {
		return "", err
	}
	kind := "claim run 1\n"
	if classifies(cfg) && !tuning {
		kind += "tested\n"
	}
	sum := sha256.Sum256([]byte(kind + corpus + "\n" + string(text)))
	return hex.EncodeToString(sum[:16]), nil
}

// corpus identifies the text of cfg, whatever tokenizer and sequence length read it.
func (c *cache) corpus(ctx context.Context, cfg recipe.Data) (string, error) {
	cfg = readAsBytes(cfg)
	id := fmt.Sprintf("%#v", cfg)
	if sum, ok := c.corpora[id]; ok {
		return sum, nil
	}
	sum, err := corpusOf(ctx, cfg)
	if err == nil {
		c.corpora[id] = sum
	}
	return sum, err
}

// readAsBytes is a source that reads the same text in the plainest way, or the same images.
func readAsBytes(cfg recipe.Data) recipe.Data {
	switch s := cfg.Of.(type) {
	case text.Goroot:
		s.Config, s.SeqLen = tokenizers.DefaultConfig(), 1
		return recipe.From(s)
	case text.Files:
		s.Config, s.SeqLen = tokenizers.DefaultConfig(), 1
		return recipe.From(s)
	case labelled.IMDB:
		s.Config, s.Lengths, s.Vectors = tokenizers.DefaultConfig(), labelled.DefaultOptions().Lengths, ""
		return recipe.From(s)
	case labelled.TSV:
		s.Config, s.Lengths, s.Vectors = tokenizers.DefaultConfig(), labelled.DefaultOptions().Lengths, ""
		return recipe.From(s)
	case images.Source:
		return recipe.From(s.Plain())
	}
	return cfg
}

func corpusOf(ctx context.Context, cfg recipe.Data) (sum string, err error) {
	if from, ok := cfg.Images(); ok {
		d, err := images.Open(ctx, from)
		if err != nil {
			return "", err
		}
		if d.Test == nil {
			return "", fmt.Errorf("%w: the images of source %q have no folder test; a claim about classifiers wants a test split", errUsage, cfg.Name)
		}
		return d.SHA256, nil
	}
	if from, ok := cfg.Labelled(); ok {
		d, err := labelled.Open(ctx, from)
		if err != nil {
			return "", err
		}
		return d.SHA256, nil
	}
	from, _ := cfg.Text()
	d, err := text.Open(ctx, from)
	if err != nil {
		return "", err
	}
	return d.SHA256, nil
}

func (c *cache) path(key string) string { return filepath.Join(c.dir, key+".json") }

// load finds the result of a finished run. A file that a dying disk or an editor
// has spoilt counts as none.
func (c *cache) load(key string) (Result, bool) {
	var r Result
	text, err := os.ReadFile(c.path(key))
	return r, err == nil && json.Unmarshal(text, &r) == nil && r.Steps > 0
}

// save keeps the result of a finished run, whole or not at all.
func (c *cache) save(key string, r Result) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(c.path(key), append(text, '\n'))
}
