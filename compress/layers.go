package compress

import (
	"fmt"
	"math"
	"path"
	"slices"

	"sparrow/factor"
	"sparrow/internal/shell"
	"sparrow/nn"
)

// Target is a linear layer that is compressed.
type Target struct {
	Name    string
	Out, In int
	Method  string
}

// DenseParams is the number of weights, biases left out.
func (t Target) DenseParams() int { return t.Out * t.In }

// valueBytes is the size of a stored value, float32.
const valueBytes = 4

// heads are the linear layers after which nothing comes: without [[compress.layer]] tables they stay dense.
var heads = []string{"lm_head", "classifier", "classifier.out", "head"}

// targets lists the linear layers of a store that the tables choose, in the store's order. Of the tables that match a
// layer the last decides. A pattern that decides over no layer is an error, and so is a layer that is not dense.
func targets(s *nn.Store, cfg Settings, from string) ([]Target, error) {
	tables := cfg.Layer
	if len(tables) == 0 {
		tables = []LayerConfig{{Match: "*"}}
		for _, name := range heads {
			if slices.Contains(s.Layers(), name) {
				tables = append(tables, LayerConfig{Match: name, Method: "dense"})
			}
		}
	}
	decided := make([]bool, len(tables))
	var out []Target
	for _, name := range s.Layers() {
		for i, table := range slices.Backward(tables) {
			if ok, _ := path.Match(table.Match, name); !ok {
				continue
			}
			decided[i] = true
			l := s.Layer(name)
			t := Target{Name: name, Out: l.Out, In: l.In, Method: table.Method}
			if t.Method == "" {
				t.Method = cfg.Method
			}
			if t.Method == "dense" {
				break
			}
			if err := refuse(from, name, l); err != nil {
				return nil, err
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

// refuse is the error of a layer whose weight is no dense one in float32.
func refuse(from, name string, l nn.Layer) error {
	q := l.Config.Quantization()
	if l.Kind == "dense" && q.Bits == 0 {
		return nil
	}
	merge := shell.Command("model", "merge", from, "-o", "NEW")
	if l.Kind != "dense" {
		return refusef("%s: layer %s is of kind %s; want dense ones: fold it first by: %s", from, name, l.Kind, merge)
	}
	return refusef("%s: layer %s is stored as %s; want float32: make it that first by: %s", from, name, q.Name(), merge)
}

// weightOf returns a layer's weight [out, in]. A value that is no number is an error.
func weightOf(s *nn.Store, t Target) (*factor.Matrix, error) {
	w := &factor.Matrix{Rows: t.Out, Cols: t.In, Data: s.DenseWeight(t.Name)}
	for i, x := range w.Data {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("compress: %s.weight[%d, %d] is %v; want finite weights: train again, or start from an earlier checkpoint", t.Name, i/t.In, i%t.In, x)
		}
	}
	return w, nil
}

// representation returns the [[model.linear]] tables of a network whose layers are as old says but for those in chosen.
func representation(old []nn.LinearConfig, names []string, chosen map[string]nn.LinearConfig) []nn.LinearConfig {
	tables := slices.Clone(old)
	for _, name := range names {
		if c, ok := chosen[name]; ok {
			c.Match = name
			tables = append(tables, c)
		}
	}
	decides := make([]bool, len(tables)) // a table that decides nothing is refused when the network is built
	for _, name := range names {
		for i, c := range slices.Backward(tables) {
			if ok, _ := path.Match(c.Match, name); ok {
				decides[i] = true
				break
			}
		}
	}
	var kept []nn.LinearConfig
	for i, c := range tables {
		if decides[i] {
			kept = append(kept, c)
		}
	}
	return kept
}
