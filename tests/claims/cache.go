package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/data/images"
	"sparrow/data/interactions"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/recipe"
	"sparrow/tests/claims/provenance"
)

// cache keeps the result of each finished run as a small JSON file, named by the
// hash of what decides it: the resolved config and the corpus. The program is not
// part of it, so that a refactoring does not cost hours: each result tells the code
// that made it, and one of older code counts as vetting says.
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
	case labelled.Table:
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
	if from, ok := cfg.Of.(interactions.Source); ok {
		d, err := from.Read(ctx)
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

// underWay is the folder of a run that has not ended.
func (c *cache) underWay(key string) string { return filepath.Join(c.dir, "under-way", key) }

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

// sameLoss is how much the loss of a run that is made again may differ, in nats, for results of older code to count.
const sameLoss = 1e-6

// errOlder is that older code gives other numbers: the claim is to be rerun.
var errOlder = errors.New("results of older code differ from what the code makes now")

// repeat is a run that was made again because the code has changed since.
type repeat struct {
	Run    string  `json:"run"`
	Commit string  `json:"commit"` // that had made it
	Before float64 `json:"before"` // its loss then
	Now    float64 `json:"now"`
}

// same tells whether older results count by it.
func (r repeat) same() bool { return math.Abs(r.Before-r.Now) <= sameLoss }

// vetting decides which results of older code count: those of an arm of which one run, made again now, has the same loss.
type vetting struct {
	code     string // hash of the packages that a run runs
	again    bool   // older results do not count
	mu       sync.Mutex
	trusted  map[string]bool // by arm and code
	repeated []repeat
}

// newVetting is of runs of training or, with compress, of compressions too.
func newVetting(packages ...string) (*vetting, error) {
	root, err := provenance.Root()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	code, err := provenance.Code(root, packages...)
	return &vetting{code: code, trusted: map[string]bool{}}, err
}

// counts tells whether a result of an arm does.
func (v *vetting) counts(arm string, r Result) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return r.Code == v.code || !v.again && v.trusted[arm+" "+r.Code]
}

// candidate is a run whose result may be older.
type candidate struct {
	arm, name string
	load      func() (Result, bool)
	make      func(context.Context) (Result, error) // makes it again and keeps it
}

// vet makes one run again of each arm that has older results among the candidates, several at a time.
func (v *vetting) vet(ctx context.Context, lanes int, all []candidate, out io.Writer) error {
	if v.again {
		return nil
	}
	var older []candidate
	var before []Result
	for _, c := range all {
		r, ok := c.load()
		key := c.arm + " " + r.Code
		if !ok || r.Code == v.code || v.trusted[key] {
			continue
		}
		v.trusted[key] = true // unless what follows shows that it is not to be
		older, before = append(older, c), append(before, r)
	}
	made := make([]repeat, len(older))
	err := spread(ctx, lanes, len(older), func(ctx context.Context, _, i int) error {
		v.mu.Lock()
		fmt.Fprintf(out, "made again, because the code has changed since commit %.9s: %s\n", before[i].Commit, older[i].name)
		v.mu.Unlock()
		r, err := older[i].make(ctx)
		made[i] = repeat{older[i].name, before[i].Commit, before[i].Loss, r.Loss}
		return err
	})
	if err != nil {
		return err
	}
	differ := false
	for _, m := range made {
		v.repeated = append(v.repeated, m)
		if !m.same() {
			differ = true
			fmt.Fprintf(out, "%s: loss %.7f, %.7f by commit %.9s: no older result counts, all runs are made again\n", m.Run, m.Now, m.Before, m.Commit)
		}
	}
	if differ {
		v.again = true
		return errOlder
	}
	return nil
}
