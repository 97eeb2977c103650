package interpret

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/factor"
	"sparrow/saved"
	"sparrow/task"
)

// Token is a token of the vocabulary with what it has of something.
type Token struct {
	ID    int     `json:"id"`
	Text  string  `json:"text"`
	Value float64 `json:"value"`
}

// Neuron is an entry of a feature.
type Neuron struct {
	Index  int     `json:"index"`
	Weight float64 `json:"weight"`
}

// Context is a piece of text around a token at which a feature is strong.
type Context struct {
	Tokens []string  `json:"tokens"`
	Values []float64 `json:"values"` // coefficients, of each
	At     int       `json:"at"`     // which token it is
}

// Feature is what is known of one.
type Feature struct {
	Usage float64 `json:"usage"` // share of the tokens with a coefficient that is not 0
	Share float64 `json:"share"` // of the sum of squares of all coefficients
	Mean  float64 `json:"mean"`  // coefficient over the tokens

	Neurons    []Neuron  `json:"neurons"`              // the largest entries
	Contexts   []Context `json:"contexts"`             // the strongest first
	Next       []Token   `json:"next"`                 // that follow its strongest tokens more often than others: how many times
	Promoted   []Token   `json:"promoted,omitempty"`   // of a decoder: scores of the direction alone
	Suppressed []Token   `json:"suppressed,omitempty"` // likewise, the lowest

	Description string `json:"description,omitempty"` // by a judge

	strongest []int // tokens with the largest coefficients
}

// Set are the features of one layer, found by one method.
type Set struct {
	Layer  int     `json:"layer"`
	Site   string  `json:"site"`
	Method string  `json:"method"`
	Tokens int     `json:"tokens"` // that they were found from
	Norm   float64 `json:"norm"`   // mean norm of what is factorized

	Error      float64 `json:"error,omitempty"` // ||A - G Z||/||A||, of methods that write A as a sum
	Iterations int     `json:"iterations,omitempty"`
	Restarts   int     `json:"restarts,omitempty"`
	Dead       int     `json:"dead"` // features that no token uses

	Features []Feature `json:"features"`

	Z *factor.Matrix `json:"-"` // [k, d], of unit norm
	// Tree is the hierarchy above the features, the widest level first; nil: none was asked for.
	Tree []Level `json:"tree,omitempty"`
}

// Folder is a features folder.
type Folder struct {
	Dir    string
	Config Config
	Parent checkpoints.Lineage // the model's checkpoint
	Sets   []*Set
	Probes [][]int // contexts that steering is calibrated on, then those that it is measured on
}

// features.json.
type kept struct {
	Sets   []*Set  `json:"sets"`
	Probes [][]int `json:"probes"`
}

// Open reads a features folder.
func Open(dir string) (*Folder, error) {
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	if kind := c.Manifest().Kind; kind != "features" {
		return nil, task.Refusef("%s holds a %s, no features; make some by: model interpret fit", dir, kind)
	}
	text, err := c.File("config.toml")
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir, Config: DefaultConfig()}
	if err := configs.Decode(filepath.Join(dir, "config.toml"), text, &f.Config, configs.Options{}); err != nil {
		return nil, err
	}
	if c.Manifest().Parent == nil {
		return nil, fmt.Errorf("%w: %s names no model that it was made of", checkpoints.ErrCheckpoint, dir)
	}
	f.Parent = *c.Manifest().Parent
	if text, err = c.File("features.json"); err != nil {
		return nil, err
	}
	var k kept
	if err := task.StrictJSON(text, &k); err != nil {
		return nil, fmt.Errorf("%w: %s: features.json: %w", checkpoints.ErrCheckpoint, dir, err)
	}
	f.Sets, f.Probes = k.Sets, k.Probes
	arrays, err := c.Arrays("features.npz")
	if err != nil {
		return nil, err
	}
	byName := map[string]checkpoints.Array{}
	for _, a := range arrays {
		byName[a.Name] = a
	}
	for _, s := range f.Sets {
		if s.Z, err = sparse(byName, s.name()); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, dir, err)
		}
		if s.Z.Rows != len(s.Features) {
			return nil, fmt.Errorf("%w: %s: %s has %d features and describes %d", checkpoints.ErrCheckpoint, dir, s.name(), s.Z.Rows, len(s.Features))
		}
	}
	return f, nil
}

// write writes the folder.
func (f *Folder) write(by *checkpoints.Calibration) error {
	config, err := configs.Encode(f.Config)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(kept{f.Sets, f.Probes}, "", " ")
	if err != nil {
		return err
	}
	var arrays []checkpoints.Array
	for _, s := range f.Sets {
		arrays = append(arrays, triplets(s.name(), s.Z)...)
	}
	return checkpoints.Write(f.Dir, checkpoints.Contents{
		Kind: "features", Parent: &f.Parent, Made: by,
		Files:  map[string][]byte{"config.toml": config, "features.json": append(text, '\n')},
		Arrays: map[string][]checkpoints.Array{"features.npz": arrays},
	})
}

// rewrite writes the folder anew, by the same data.
func (f *Folder) rewrite() error {
	c, err := checkpoints.Open(f.Dir)
	if err != nil {
		return err
	}
	return f.write(c.Manifest().Calibration)
}

// name is that of a set's arrays.
func (s *Set) name() string { return fmt.Sprintf("layer.%d.%s", s.Layer, s.Method) }

// triplets are a matrix as places and values of what is not 0, row by row.
func triplets(name string, z *factor.Matrix) []checkpoints.Array {
	var row, col []int32
	var values []float32
	for i := range z.Rows {
		for j, x := range z.Row(i) {
			if v := float32(x); v != 0 {
				row, col, values = append(row, int32(i)), append(col, int32(j)), append(values, v)
			}
		}
	}
	return []checkpoints.Array{
		{Name: name + ".shape", Shape: []int{2}, Data: []int32{int32(z.Rows), int32(z.Cols)}},
		{Name: name + ".row", Shape: []int{len(row)}, Data: row},
		{Name: name + ".column", Shape: []int{len(col)}, Data: col},
		{Name: name + ".value", Shape: []int{len(values)}, Data: values},
	}
}

// sparse is the matrix of triplets.
func sparse(arrays map[string]checkpoints.Array, name string) (*factor.Matrix, error) {
	shape, _ := arrays[name+".shape"].Data.([]int32)
	row, _ := arrays[name+".row"].Data.([]int32)
	col, _ := arrays[name+".column"].Data.([]int32)
	values, _ := arrays[name+".value"].Data.([]float32)
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 1 || len(row) != len(values) || len(col) != len(values) || int64(shape[0])*int64(shape[1]) > math.MaxInt32 {
		return nil, fmt.Errorf("features.npz has no matrix %s", name)
	}
	z := factor.NewMatrix(int(shape[0]), int(shape[1]))
	for i, x := range values {
		if row[i] < 0 || row[i] >= shape[0] || col[i] < 0 || col[i] >= shape[1] || x-x != 0 {
			return nil, fmt.Errorf("features.npz: entry %d of %s is %v at (%d, %d) of %d x %d", i, name, x, row[i], col[i], shape[0], shape[1])
		}
		z.Row(int(row[i]))[col[i]] = float64(x)
	}
	return z, nil
}

// Find is the set of a layer and a method; "": snmf.
func (f *Folder) Find(layer int, method string) (*Set, error) {
	if method == "" {
		method = SNMF
	}
	var have []string
	for _, s := range f.Sets {
		if s.Layer == layer && s.Method == method {
			return s, nil
		}
		have = append(have, fmt.Sprintf("%d:%s", s.Layer, s.Method))
	}
	return nil, task.Refusef("%s has no features of layer %d by %s; it has %v", f.Dir, layer, method, have)
}

// errOther says that features are of another model.
var errOther = errors.New("the features are of another checkpoint")

// Check refuses a model that the features are not of.
func (f *Folder) Check(l *saved.Model) error {
	if got := l.Files.Lineage().SHA256; got != f.Parent.SHA256 {
		return task.Refusef("%s: %w: %s, whose manifest is %.12s…, and not %s", f.Dir, errOther, f.Parent.Path, f.Parent.SHA256, l.Dir)
	}
	return nil
}
