package extend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/data/tokenizers"
	"sparrow/factor"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// Settings say how a network's vocabulary is replaced.
type Settings struct {
	Tokenizer   tokenizers.Tokenizer // the new one
	Words       Words                // vectors of words of both vocabularies; nil: none, for what needs none
	Start       string               // one of Starts
	Neighbours  int                  // old tokens in a mixture; OFA's 10
	Temperature float64              // of their weights; OFA's 0.1
	Rank        int                  // of the embedding in factors; 0: it stays as it is
	Seed        uint64
	Shuffled    bool // vectors are of other words: a control, which tells what they are worth

	Text func(yield func(text string)) // by which tokens are weighed in the report; nil: they are not
	Told func(stage string) factor.Progress
}

// DefaultSettings are those of the paper, without rank.
func DefaultSettings() Settings {
	return Settings{Start: "ofa", Neighbours: 10, Temperature: 0.1}
}

// Extended is a network with its new vocabulary.
type Extended struct {
	Report Report
	parent *saved.Model
	cfg    recipe.Config
	dims   model.Dims
	store  *nn.Store
	files  map[string][]byte
}

// Run replaces a network's vocabulary: (1) rows of tokens that both have are copied, (2) others start as the settings say, of
// OFA as mixtures of old rows whose words are similar, (3) or at random, (4) an output head that is not tied likewise, with its own
// rows, (5) its bias is copied or the mean, (6) ids that files name are those of the new vocabulary, (7) and the report counts.
func Run(ctx context.Context, parent *saved.Model, s Settings) (*Extended, error) {
	if parent.Config.Adapter() {
		return nil, task.Refusef("extend: %s is an adapter: fold it into its base first by: %s", parent.Dir, shell.Command("model", "merge", parent.Dir, "-o", "NEW"))
	}
	body, worded := parent.Config.Model.Body().(model.Worded)
	if !worded {
		return nil, task.Refusef("extend: %s has no words: kind = %q reads no text", parent.Dir, parent.Config.Model.Name)
	}
	before, err := task.ReadTokenizer(parent.Files)
	if err != nil {
		return nil, err
	}
	if s.Neighbours < 1 || !(s.Temperature > 0) {
		return nil, task.Refusef("extend: %d neighbours at temperature %g; want at least 1, and a temperature above 0", s.Neighbours, s.Temperature)
	}
	x := &Extended{parent: parent, cfg: parent.Config, dims: parent.Dims}
	plan, err := x.plan(ctx, before, s)
	if err != nil {
		return nil, err
	}
	if err := x.build(ctx, body, plan, s); err != nil {
		return nil, err
	}
	x.files, err = x.renamed(before, s.Tokenizer, plan.from)
	return x, err
}

// plan says what the row of each new token is made of.
func (x *Extended) plan(ctx context.Context, before tokenizers.Tokenizer, s Settings) (*rows, error) {
	start, err := startNamed(s.Start)
	if err != nil {
		return nil, task.Refuse(err)
	}
	p := &rows{from: shared(before, s.Tokenizer), start: start, seed: s.Seed}
	fresh := tokenizers.Pieces(s.Tokenizer)
	x.Report = Report{Start: s.Start, Before: before.VocabSize(), After: s.Tokenizer.VocabSize()}
	if start.similar {
		if s.Words == nil {
			return nil, task.Refusef("extend: --init %s wants word vectors: name a file by --vectors FILE, or text in both languages by --vectors corpus:GLOB or parallel:FILE; or take --init mean", s.Start)
		}
		words := s.Words
		if s.Shuffled {
			words = shuffled{words, s.Seed}
		}
		old, after, dim, err := understand(ctx, words, before, s.Tokenizer)
		if err != nil {
			return nil, err
		}
		pieces := tokenizers.Pieces(before)
		if x.Report.WithVector, x.Report.Pieces, err = old.covered(pieces); err != nil {
			return nil, err
		}
		var wanted []int
		for id, from := range p.from {
			if piece := fresh[id]; from < 0 && piece.Defined && !piece.Special {
				wanted = append(wanted, id)
			}
		}
		if p.mixtures, err = similar(ctx, old, after, pieces, wanted, dim, s.Neighbours, s.Temperature, s.progress("comparing")); err != nil {
			return nil, err
		}
	}
	return p, x.Report.count(p, before, s)
}

// progress is told of a stage.
func (s Settings) progress(stage string) factor.Progress {
	if s.Told == nil {
		return nil
	}
	return s.Told(stage)
}

// build makes the store of the network with the new rows.
func (x *Extended) build(ctx context.Context, body model.Worded, p *rows, s Settings) error {
	old := x.parent.Session.Store()
	name, words, _ := old.Words()
	if !words.Rule.Dense() && s.Rank > 0 {
		return task.Refusef("extend: --rank %d: the embedding of %s is in factors already: leave --rank out, or make it one table first by: %s",
			s.Rank, x.parent.Dir, shell.Command("model", "merge", x.parent.Dir, "-o", "NEW"))
	}
	arrays := saved.Held(old)
	per := body.PerWord()
	if s.Rank > 0 {
		table := arrays[name+".weight"]
		f, q, energy, err := factors(ctx, table.Data.([]float32), words.Out, s.Rank)
		if err != nil {
			return task.Refuse(err)
		}
		delete(arrays, name+".weight")
		arrays[name+".up.weight"] = nn.Array{Shape: []int{words.Out, s.Rank}, Data: f}
		arrays[name+".down.weight"] = nn.Array{Shape: []int{s.Rank, words.In}, Data: q}
		x.cfg.Model.Embedding = &recipe.Embedding{OneOf: nn.AsTable(nn.LowRank{Rank: s.Rank})}
		x.Report.Rank, x.Report.Energy = s.Rank, energy
	}
	if _, dense := arrays[name+".weight"]; !dense {
		per[0] = name + ".up.weight"
	}
	for i, n := range per {
		a, has := arrays[n]
		if !has {
			if layer := strings.TrimSuffix(n, ".weight"); i > 0 && old.Layer(layer).Out > 0 {
				return task.Refusef("extend: %s of %s is of kind %s; want a dense head: fold it first by: %s", layer, x.parent.Dir, old.Layer(layer).Rule.Name,
					shell.Command("model", "merge", x.parent.Dir, "-o", "NEW"))
			}
			continue
		}
		data := a.Data.([]float32)
		if len(a.Shape) == 1 {
			arrays[n] = nn.Array{Shape: []int{len(p.from)}, Data: p.bias(data)}
			continue
		}
		made, err := p.of(ctx, n, data, a.Shape[0])
		if err != nil {
			return err
		}
		arrays[n] = nn.Array{Shape: []int{len(p.from), a.Shape[1]}, Data: made}
	}
	if padded, ok := x.cfg.Model.Of.(model.Padded); ok {
		x.cfg.Model.Of = padded.Unpadded()
	}
	x.dims.VocabSize = len(p.from)
	network, err := x.cfg.Model.Network(x.dims)
	if err != nil {
		return err
	}
	x.store = nn.NewStore(tensor.Float32)
	if err := model.Declare(network, x.store, x.cfg.Model.Represented(model.Options{})); err != nil {
		return err
	}
	missing, unused, err := x.store.Fill(arrays)
	if err == nil && len(missing)+len(unused) > 0 {
		err = fmt.Errorf("%v are missing and %v are left over", missing, unused)
	}
	if err != nil {
		return fmt.Errorf("extend: %s: %w", x.parent.Dir, err)
	}
	x.Report.ParametersBefore, x.Report.ParametersAfter = old.Parameters(), x.store.Parameters()
	return nil
}

// Write writes the checkpoint of the extended network, whose parent is the old one. As one from elsewhere it has no data of its own.
func (x *Extended) Write(out string) error {
	kind, err := x.parent.Known.TaskName(x.parent.Config)
	if err != nil {
		return err
	}
	report, err := json.MarshalIndent(x.Report, "", "  ")
	if err != nil {
		return err
	}
	x.files[saved.ExtensionFile] = append(report, '\n')
	c, err := saved.WithoutData("extended", x.cfg.Model, x.dims, kind, x.files)
	if err != nil {
		return err
	}
	c.Arrays = map[string][]checkpoints.Array{"model.npz": saved.Arrays(x.store)}
	c.Parent = x.parent.Files.Lineage()
	return checkpoints.Write(out, c)
}

// Model is the network with its initial values, for use in memory.
func (x *Extended) Model() (recipe.Model, model.Dims, *nn.Store) { return x.cfg.Model, x.dims, x.store }

// errNoPieces is the error of a text that the new tokenizer makes nothing of.
var errNoPieces = errors.New("extend: the text to weigh tokens by is empty")
