package main

import (
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/extend"
	"sparrow/recipe"
	"sparrow/train"
)

// Comments is a subject that needs no download: the words of the comments in the Go distribution. Every third of the most frequent
// words is unknown to the parent, which is trained on half of the files; vectors and further training are of the other half.
type Comments struct {
	Words      int `toml:"words"`      // of the new vocabulary
	Dimensions int `toml:"dimensions"` // of their vectors
	Length     int `toml:"length"`     // of the rows that are measured
	Held       int `toml:"held"`       // words that are measured
}

// shares of the files, by a hash of their path: the parent's, the further training's, those that choose rates, and those that count.
const (
	ofParent = iota
	ofFurther
	ofChoice
	ofScore
)

// part is what a file is for.
func part(path string) int {
	h := fnv.New32a()
	io.WriteString(h, path)
	switch n := h.Sum32() % 20; {
	case n < 10:
		return ofParent
	case n < 16:
		return ofFurther
	case n < 18:
		return ofChoice
	}
	return ofScore
}

// read returns the comments' words of each part, a line a comment.
func (c Comments) read(ctx context.Context) (parts [4][]string, err error) {
	root := os.Getenv("GOROOT")
	if root == "" {
		out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return parts, fmt.Errorf("go env GOROOT: %w; install Go, or set GOROOT to a distribution", err)
		}
		root = strings.TrimSpace(string(out))
	}
	src := os.DirFS(filepath.Join(root, "src"))
	err = fs.WalkDir(src, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "testdata/") {
			return err
		}
		content, err := fs.ReadFile(src, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for i, group := range file.Comments {
			words := strings.FieldsFunc(strings.ToLower(group.Text()), func(r rune) bool { return r < 'a' || r > 'z' })
			if len(words) >= 3 && (i > 0 || !slices.Contains(words, "copyright")) {
				p := part(path)
				parts[p] = append(parts[p], strings.Join(words, " "))
			}
		}
		return ctx.Err()
	})
	return parts, err
}

// unknown is what a word is to a vocabulary without it.
const unknown = "<unk>"

// wordLevel is a tokenizer of whole words.
func wordLevel(words []string) (tokenizers.Tokenizer, error) {
	vocab := map[string]int{unknown: 0}
	for _, w := range words {
		vocab[w] = len(vocab)
	}
	content, err := json.Marshal(map[string]any{
		"pre_tokenizer": map[string]any{"type": "WhitespaceSplit"},
		"model":         map[string]any{"type": "WordLevel", "unk_token": unknown, "vocab": vocab},
	})
	if err != nil {
		return nil, err
	}
	return tokenizers.Load(content)
}

// frequent are the most frequent words, first by count, then by name.
func frequent(lines []string, n int) []string {
	counts := map[string]int{}
	for _, line := range lines {
		for _, w := range strings.Fields(line) {
			counts[w]++
		}
	}
	var words []string
	for w := range counts {
		words = append(words, w)
	}
	slices.SortFunc(words, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	return words[:min(n, len(words))]
}

// subject trains the parent of a seed and returns all that the arms need.
func (c Comments) subject(ctx context.Context, claim *Claim, seed int, dir string) (*subject, error) {
	parts, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	words := frequent(slices.Concat(parts[ofParent], parts[ofFurther]), c.Words)
	if len(words) < c.Words {
		return nil, fmt.Errorf("comments: %d words; want %d", len(words), c.Words)
	}
	var old []string
	s := &subject{length: c.Length, fresh: []bool{false}} // the first is unknown
	for i, w := range words {
		if s.fresh = append(s.fresh, i%3 == 2); i%3 != 2 {
			old = append(old, w)
		}
	}
	before, err := wordLevel(old)
	if err != nil {
		return nil, err
	}
	if s.after, err = wordLevel(words); err != nil {
		return nil, err
	}
	cfg := claim.Parent
	cfg.Name, cfg.Seed = "parent", uint64(seed)
	if cfg.Data, err = written(dir, "parent", parts[ofParent], before, c.Length); err != nil {
		return nil, err
	}
	s.parent = filepath.Join(dir, "parent")
	if err := trained(ctx, cfg, s.parent); err != nil {
		return nil, err
	}
	if s.data, err = written(dir, "further", parts[ofFurther], s.after, c.Length); err != nil {
		return nil, err
	}
	embed := extend.DefaultEmbed()
	embed.Rank, embed.Limit, embed.Seed = c.Dimensions, c.Words, uint64(seed)
	if s.vectors, err = (&extend.Corpus{Lines: parts[ofFurther]}).Embed(ctx, embed, nil); err != nil {
		return nil, err
	}
	s.choice, s.score = few(parts[ofChoice], c.Held), few(parts[ofScore], c.Held)
	return s, nil
}

// few are the first lines with so many words.
func few(lines []string, words int) []string {
	for i, line := range lines {
		if words -= strings.Count(line, " ") + 1; words <= 0 {
			return lines[:i+1]
		}
	}
	return lines
}

// written is a source of text of those lines, read by a tokenizer.
func written(dir, name string, lines []string, by tokenizers.Tokenizer, length int) (recipe.Data, error) {
	s := text.DefaultFiles()
	s.Paths, s.Tokenizer = []string{filepath.Join(dir, name+".txt")}, filepath.Join(dir, name+".json")
	s.SeqLen, s.ValidationShare = length, 0.02
	if err := os.WriteFile(s.Paths[0], []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return recipe.Data{}, err
	}
	return recipe.From(s), os.WriteFile(s.Tokenizer, by.Save(), 0o644)
}

// trained runs a training.
func trained(ctx context.Context, cfg recipe.Config, dir string) error {
	t, err := train.New(ctx, cfg, dir, false, io.Discard)
	if err != nil {
		return err
	}
	if _, err := t.Run(ctx, nil); err != nil {
		return err
	}
	return ctx.Err()
}
