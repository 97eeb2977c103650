package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/internal/rng"
	"sparrow/recipe"
)

// Recall is the [recall] table: the text of [run.data] is made of sequences of multi-query associative recall (Arora et al. 2023).
// Each has as many bytes as a training sequence: pairs of a key and a value, all keys different, then questions, each a key and its
// value again. The values of questions can be told by recall alone; all else is drawn.
type Recall struct {
	Pairs     int `toml:"pairs"`     // of a sequence
	Sequences int `toml:"sequences"` // of the text
}

// Keys are upper-case letters and digits, values lower-case letters: one byte each.
const (
	recallKeys   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	recallValues = "abcdefghijklmnopqrstuvwxyz"
)

// Validate reports sequences that cannot be.
func (c Recall) Validate(r *configs.Report) {
	if c.Pairs < 1 || c.Pairs > len(recallKeys) {
		r.Errorf("pairs", "is out of range; want 1 to %d, the keys that there are", len(recallKeys))
	}
	r.AtLeast("sequences", 1)
}

// text is all sequences of that many bytes.
func (c Recall) text(length int) []byte {
	var out []byte
	r := rng.New(1, "recall", 0)
	keys := []byte(recallKeys)
	for range c.Sequences {
		for i := range c.Pairs { // the first Pairs keys of a shuffle
			k := i + r.Intn(len(keys)-i)
			keys[i], keys[k] = keys[k], keys[i]
		}
		values := make([]byte, c.Pairs)
		begin := len(out)
		for i := range values {
			values[i] = recallValues[r.Intn(len(recallValues))]
			out = append(out, keys[i], values[i])
		}
		for len(out)-begin+2 <= length {
			i := r.Intn(c.Pairs)
			out = append(out, keys[i], values[i])
		}
		for len(out)-begin < length {
			out = append(out, '\n')
		}
	}
	return out
}

// Split is the [split] table: train and test of [run.data] are made of one table of texts, of the classes that have enough of them.
type Split struct {
	File      string  `toml:"file"`       // in the folder that root_from names
	Least     int     `toml:"least"`      // examples of a class that is kept
	TestShare float64 `toml:"test_share"` // by a hash of the line, so that it is the same everywhere
}

// Validate reports shares that are none.
func (s Split) Validate(r *configs.Report) {
	if s.File == "" {
		r.Errorf("file", "is empty; want a table of texts with a header")
	}
	r.AtLeast("least", 1)
	r.Within("test_share", s.TestShare > 0 && s.TestShare < 1, "more than 0 and less than 1")
}

// divide splits the lines below a header, of which column names the class.
func (s Split) divide(table, column string) (train, test []byte, classes int, err error) {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(table, "\r\n", "\n"), "\n"), "\n")
	header := strings.Split(lines[0], "\t")
	at := slices.Index(header, column)
	if at < 0 {
		return nil, nil, 0, fmt.Errorf("%s has no column %q; its header is %q", s.File, column, header)
	}
	count := map[string]int{}
	class := func(line string) string {
		if fields := strings.Split(line, "\t"); at < len(fields) {
			return fields[at]
		}
		return ""
	}
	for _, line := range lines[1:] {
		count[class(line)]++
	}
	train, test = []byte(lines[0]+"\n"), []byte(lines[0]+"\n")
	for _, line := range lines[1:] {
		c := class(line)
		if c == "" || count[c] < s.Least {
			continue
		}
		sum := sha256.Sum256([]byte(line))
		if float64(uint(sum[0])<<8|uint(sum[1])) < s.TestShare*(1<<16) {
			test = append(test, line+"\n"...)
		} else {
			train = append(train, line+"\n"...)
		}
	}
	for c, n := range count {
		if c != "" && n >= s.Least {
			classes++
		}
	}
	return train, test, classes, nil
}

// makeData writes the data that the claim makes below the cache, and says what is missing for it; "": nothing.
func (c *Claim) makeData(cache, root string) (missing string, err error) {
	if c.Recall != nil {
		from, _ := c.Run.Data.Of.(text.Files)
		path := filepath.Join(cache, "made", fmt.Sprintf("recall-%d-%d-%d.txt", c.Recall.Pairs, c.Recall.Sequences, from.SeqLen))
		from.Paths = []string{path}
		c.Run.Data = recipe.From(from)
		return "", write(path, c.Recall.text(from.SeqLen))
	}
	if c.Split == nil {
		return "", nil
	}
	file := filepath.Join(root, c.Split.File)
	table, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Sprintf("there is no %s; set %s to the folder that holds it", file, c.RootFrom), nil
	}
	if err != nil {
		return "", err
	}
	from, _ := c.Run.Data.Of.(labelled.Table)
	train, test, classes, err := c.Split.divide(string(table), from.LabelColumn)
	if err == nil && classes < 2 {
		err = fmt.Errorf("%s has %d classes of at least %d examples; want 2", file, classes, c.Split.Least)
	}
	if err != nil {
		return "", fmt.Errorf("%w: [split]: %w", errUsage, err)
	}
	sum := sha256.Sum256(table)
	dir := filepath.Join(cache, "made", fmt.Sprintf("split-%x-%d-%g", sum[:6], c.Split.Least, c.Split.TestShare))
	from.Train, from.Test = filepath.Join(dir, "train.tsv"), filepath.Join(dir, "test.tsv")
	c.Run.Data = recipe.From(from)
	return "", errors.Join(write(from.Train, train), write(from.Test, test))
}

// write writes a file below the cache, unless it is there: what it holds is named by its path.
func write(path string, content []byte) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(path, content)
}

// validateMade reports data that cannot be made for [run.data].
func (c *Claim) validateMade(r *configs.Report) {
	if _, ok := c.Run.Data.Of.(text.Files); c.Recall != nil && (!ok || c.Run.Data.SeqLen() < 2*c.Recall.Pairs+2) {
		r.Errorf("recall", "wants [run.data] source = \"text\" with a seq_len of at least two bytes for each pair and for one question")
	}
	if _, ok := c.Run.Data.Of.(labelled.Table); c.Split != nil && (!ok || c.RootFrom == "") {
		r.Errorf("split", "wants [run.data] source = \"tsv\" and root_from")
	}
}
