package compress

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"sparrow/factor"
	"sparrow/internal/shell"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// compression is the checkpoint under compression with what its layers are to become.
type compression struct {
	cfg     Config
	loaded  *saved.Model
	targets []Target
	out     io.Writer // messages and progress

	data  task.Task              // what calibration reads
	table recipe.Data            // [data] of that
	stats map[string]*Statistics // by layer, without entries
	keys  map[string]string      // of the statistics that went into them, by kind
	group map[string]*Statistics // entries of the layers in memory
}

// open loads the checkpoint and chooses its layers.
func open(cfg Config, out io.Writer) (*compression, error) {
	l, err := saved.Open(cfg.Compress.From, false, model.Options{}, cfg.Compress.Known)
	if err != nil {
		return nil, err
	}
	s := &compression{cfg: cfg, loaded: l, out: out, data: l.Task, table: l.Config.Data, stats: map[string]*Statistics{}, keys: map[string]string{}}
	if s.targets, err = targets(l.Session.Store(), cfg.Compress, cfg.Compress.From); err != nil {
		return nil, err
	}
	for _, t := range s.targets {
		if w := l.Session.Store().Get(t.Name + ".weight"); w == nil || !kernel.AllFinite(w.Float32s()) {
			if _, err := t.of(l.Session.Store()); err != nil {
				return nil, err
			}
		}
		s.stats[t.Name] = &Statistics{}
	}
	if d := cfg.Compress.Data; d != nil {
		s.table = d.Data
		if has, want := s.table.Gives(), l.Config.Data.Gives(); !l.Config.Data.IsNone() && has != want {
			return nil, refusef("[compress.data] source = %q has %s: the model was trained on %q; want %s", d.Name, has, l.Config.Data.Name, want)
		}
		other := l.Config
		other.Data = s.table
		if s.data, err = l.Open(other); err != nil {
			return nil, err
		}
		if l.Config.Data.IsNone() {
			l.Task = s.data // it is measured there too
		}
	}
	return s, nil
}

// lend gives a model from elsewhere, which has no data of its own, those of [compress.data] to be measured on.
func lend(cfg Config, l *saved.Model) error {
	d := cfg.Compress.Data
	if d == nil || !l.Config.Data.IsNone() {
		return nil
	}
	other := l.Config
	other.Data = d.Data
	t, err := l.Open(other)
	if err == nil {
		l.Task = t
	}
	return err
}

// refusef is the error of what the user asked for and cannot have; it matches train.ErrUsage.
func refusef(format string, args ...any) error {
	return task.Refusef("compress: cannot start: "+format, args...)
}

// needs is what the methods of all layers read, and what an allocation by loss reads of layers that can become several things.
func (s *compression) needs() Needs {
	var n Needs
	byLoss := s.cfg.Compress.Allocation == "loss"
	for _, t := range s.targets {
		n = n.or(s.cfg.Compress.needs(t.Method))
		n.Fisher = n.Fisher || byLoss && !s.cfg.Compress.decided(t)
	}
	n.Moments = n.Moments || s.cfg.Compress.Quantize.compensates()
	return n
}

// valueBytes is the size of a stored value, float32.
const valueBytes = 4

// targets lists the linear layers of a store that the tables choose, in the store's order, and the embedding of words if a table
// gives its name in full. The last of the tables that match
// a layer decides; without tables all but the heads, after which nothing comes, are compressed. A pattern that decides over no
// layer is an error, and so is a layer that is not dense.
func targets(s *nn.Store, cfg Settings, from string) ([]Target, error) {
	tables := cfg.Layer
	if len(tables) == 0 {
		tables = []LayerConfig{{Match: "*"}}
		for _, name := range s.Layers() {
			if s.Layer(name).Head {
				tables = append(tables, LayerConfig{Match: name, Method: stays})
			}
		}
	}
	decided := make([]bool, len(tables))
	var out []Target
	for _, name := range layersAndWords(s) {
		l := s.Layer(name)
		for i, table := range slices.Backward(tables) {
			if ok, _ := path.Match(table.Match, name); !ok || l.Words && table.Match != name {
				continue
			}
			decided[i] = true
			t := Target{Name: name, Out: l.Out, In: l.In, Method: table.Method, Storage: cfg.Quantize.storage()}
			if t.Method == "" {
				t.Method = cfg.Method
			}
			if t.Method == stays {
				break
			}
			if err := refuse(from, name, l); err != nil {
				return nil, err
			}
			if l.Words {
				if err := cfg.looksUp(t); err != nil {
					return nil, err
				}
			}
			out = append(out, t)
			break
		}
	}
	for i, ok := range decided {
		if !ok {
			return nil, refusef("[[compress.layer]] match = %q: no linear layer of %s has such a name, or a later table replaces it; its layers are listed by: %s",
				tables[i].Match, from, shell.Command("model", "inspect", from))
		}
	}
	if len(out) == 0 {
		return nil, refusef("[[compress.layer]] leaves every layer of %s dense: nothing to compress", from)
	}
	return out, nil
}

// layersAndWords are the linear layers of a store and, last if it is none of them, the embedding of words.
func layersAndWords(s *nn.Store) []string {
	names := s.Layers()
	if name, l, ok := s.Words(); ok && l.Rule.Dense() {
		names = append(slices.Clip(names), name)
	}
	return names
}

// looksUp refuses methods that make of an embedding what has no rows to look up.
func (c Settings) looksUp(t Target) error {
	var want []string
	for _, m := range c.Methods {
		if m.New != nil && c.tabulates(m.Name, t) {
			want = append(want, m.Name)
		}
	}
	if slices.Contains(want, t.Method) {
		return nil
	}
	return refusef("[[compress.layer]] match = %q is the embedding of words, and method = %q makes no table of it whose rows can be looked up; want one of %s",
		t.Name, t.Method, strings.Join(want, ", "))
}

// tabulates tells whether a method makes a table of factors, from the weight or its gradients alone: an embedding has no input.
func (c Settings) tabulates(method string, t Target) bool {
	m := c.methods(method)[0].Method
	rule, err := m.Linear(t, Option{Method: method, Rank: 1})
	if err != nil || m.Needs().Moments {
		return false
	}
	_, ok := rule.Of.(nn.Table)
	return ok && !rule.Dense()
}

// refuse is the error of a layer whose weight is no dense one in float32.
func refuse(from, name string, l nn.Layer) error {
	q := l.Rule.Quantization()
	if l.Rule.Dense() && q.Bits == 0 {
		return nil
	}
	merge := shell.Command("model", "merge", from, "-o", "NEW")
	if !l.Rule.Dense() {
		return refusef("%s: layer %s is of kind %s; want dense ones: fold it first by: %s", from, name, l.Rule.Name, merge)
	}
	return refusef("%s: layer %s is stored as %s; want float32: make it that first by: %s", from, name, q.Name(), merge)
}

// of is the target with its weight in a store. A value that is no number is an error.
func (t Target) of(s *nn.Store) (Target, error) {
	t.Weight = &factor.Matrix{Rows: t.Out, Cols: t.In, Data: s.DenseWeight(t.Name)}
	for i, x := range t.Weight.Data {
		if !kernel.Finite(x) {
			return t, fmt.Errorf("compress: %s.weight[%d, %d] is %v; want finite weights: train again, or start from an earlier checkpoint", t.Name, i/t.In, i%t.In, x)
		}
	}
	return t, nil
}

// represented is the network with other representations of some layers, by name.
func represented(m recipe.Model, s *nn.Store, chosen map[string]nn.Rule) recipe.Model {
	if words, _, ok := s.Words(); ok {
		if rule, made := chosen[words]; made {
			if table, ok := rule.Of.(nn.Table); ok && !rule.Dense() {
				m.Embedding = &recipe.Embedding{OneOf: nn.AsTable(table)}
			}
			yes := true // factors are stored in few bits as tables are: float32 in memory
			rule.OneOf, rule.Embeddings = nn.As(nn.Dense{}), &yes
			if chosen = maps.Clone(chosen); rule.Quantize == "" {
				delete(chosen, words)
			} else {
				chosen[words] = rule
			}
		}
	}
	m.Linear = representation(m.Linear, s, chosen)
	return m
}

// representation returns the [[model.linear]] tables of a network whose layers are as old says but for those in chosen. Of the
// embedding of words they say how it is stored.
func representation(old []nn.Rule, s *nn.Store, chosen map[string]nn.Rule) []nn.Rule {
	tables, names := slices.Clone(old), layersAndWords(s)
	for _, name := range names {
		if c, ok := chosen[name]; ok {
			c.Match = name
			tables = append(tables, c)
		}
	}
	decides := make([]bool, len(tables)) // a table that decides nothing is refused when the network is built
	for _, name := range names {
		for i, c := range slices.Backward(tables) {
			ok, _ := path.Match(c.Match, name)
			if ok && (!s.Layer(name).Words || c.Embeddings != nil && *c.Embeddings) {
				decides[i] = true
				break
			}
		}
	}
	var kept []nn.Rule
	for i, c := range tables {
		if decides[i] {
			kept = append(kept, c)
		}
	}
	return kept
}
