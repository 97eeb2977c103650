package labelled

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Groups is the source of queries with the text that answers each and others that do not, such as the hard negatives that
// `model index mine` finds: files of JSON lines with query, positive and negatives.
type Groups struct {
	tokenizers.Config
	Lengths
	Train           string  `toml:"train" doc:"file of training groups, JSON lines: {\"query\": ..., \"positive\": ..., \"negatives\": [...]}"`
	Validation      string  `toml:"validation" doc:"file of validation groups; empty: a share of train is held out"`
	Test            string  `toml:"test" doc:"file of test groups; empty: none"`
	ValidationShare float64 `toml:"validation_share" doc:"share of the queries that is held out for validation, by a hash, more than 0 and less than 1"`
	Negatives       int     `toml:"negatives" doc:"of each query in a batch; a query that has more gets others in each epoch, one that has fewer some twice"`
}

// DefaultGroups returns the values of keys that a config leaves out.
func DefaultGroups() Groups {
	return Groups{Config: tokenizers.DefaultConfig(), Lengths: DefaultOptions().Lengths, ValidationShare: data.DefaultShare, Negatives: 7}
}

// Name implements data.Source.
func (Groups) Name() string { return "groups" }

// Start implements configs.Starter.
func (Groups) Start() []string {
	return []string{"data.train=my-groups.jsonl", "data.max_len=128", "train.epochs=3", "eval.metric=mrr", "model.ranking.head=cls"}
}

// maxNegatives bounds the rows of a batch.
const maxNegatives = 1000

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s Groups) Validate(r *configs.Report) {
	if s.Train == "" {
		r.Errorf("train", `is empty; source = "groups" needs a file`)
	}
	data.CheckShare(r, s.ValidationShare)
	r.Within("negatives", s.Negatives >= 1 && s.Negatives <= maxNegatives, fmt.Sprintf("1 to %d", maxNegatives))
}

// Group is a query with its candidates.
type Group struct {
	Query     string   `json:"query"`
	Positive  string   `json:"positive"`
	Negatives []string `json:"negatives"`
}

// GroupSet are the groups of a source.
type GroupSet struct {
	Train, Validation, Test []Group
	SHA256                  string // of all texts
	Bytes                   int
}

// Read reads all files.
func (s Groups) Read(ctx context.Context) (*GroupSet, error) {
	if err := data.Check(s); err != nil {
		return nil, err
	}
	g := &GroupSet{}
	sum := sha256.New()
	for _, file := range []struct {
		key, path string
		into      *[]Group
	}{{"train", s.Train, &g.Train}, {"validation", s.Validation, &g.Validation}, {"test", s.Test, &g.Test}} {
		if file.path == "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		groups, err := ReadGroups(file.path)
		if err != nil {
			return nil, fmt.Errorf("data: %s: %w", file.key, err)
		}
		*file.into = groups
		for _, x := range groups {
			text, err := json.Marshal(x)
			if err != nil {
				return nil, err
			}
			g.Bytes += len(text)
			sum.Write(text)
		}
	}
	if s.Validation == "" {
		var train []Group
		for _, x := range g.Train {
			h := sha256.Sum256([]byte(x.Query)) // so that a query is on one side
			if float64(uint32(h[0])<<16|uint32(h[1])<<8|uint32(h[2]))/(1<<24) < s.ValidationShare {
				g.Validation = append(g.Validation, x)
			} else {
				train = append(train, x)
			}
		}
		g.Train = train
	}
	if len(g.Train) == 0 || len(g.Validation) == 0 {
		return nil, fmt.Errorf("data: train = %q: %d training and %d validation queries; want more, or a file of validation", s.Train, len(g.Train), len(g.Validation))
	}
	g.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return g, nil
}

// ReadGroups reads a file of groups.
func ReadGroups(path string) (groups []Group, err error) {
	text, err := data.ReadFile(path)
	if err != nil {
		return nil, err
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var g Group
		if err := json.Unmarshal(line, &g); err != nil {
			return nil, fmt.Errorf("%s:%d: %w; want an object with query, positive and negatives", path, number, err)
		}
		if g.Query == "" || g.Positive == "" || len(g.Negatives) == 0 {
			return nil, fmt.Errorf("%s:%d: the object lacks query, positive or negatives", path, number)
		}
		groups = append(groups, g)
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("%s has no groups", path)
	}
	return groups, nil
}

// Documents are the texts of groups, each once, of which a tokenizer is made.
func Documents(groups []Group) *data.Documents {
	l := &Texts{}
	seen := map[string]bool{}
	add := func(text string) {
		if !seen[text] {
			seen[text] = true
			l.AddText(text, "")
		}
	}
	for _, g := range groups {
		add(g.Query)
		add(g.Positive)
		for _, n := range g.Negatives {
			add(n)
		}
	}
	return &l.Documents
}
