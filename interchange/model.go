package interchange

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/checkpoints/foreign"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/nn"
	"sparrow/recipe"
)

// Model is a foreign model that has been understood: a network of this project, and where its arrays come from.
type Model struct {
	Family  string // as transformers calls it
	Task    string // what it is for: language, masked, sentence, texts or vision
	Use     string // the command that does that
	Network recipe.Model
	Dims    model.Dims
	Labels  []string          // of a classifier, by class
	Pairs   bool              // of a classifier whose texts come in pairs
	Sigmoid bool              // of a classifier with one output: its score is the output's sigmoid
	Files   map[string][]byte // what a checkpoint keeps beside the weights
	Notes   []string          // what a person should know

	source *Source
	family family
	bare   bool // names lack the prefix of the body, as in the model without a head
}

// family is one kind of model: the translation of its config and of its names.
type family interface {
	// types are the values of model_type.
	types() []string
	// prefix stands before the names of the body in a model with a head.
	prefix() string
	// read says which network the config describes.
	read(s *Source, m *Model, r *report)
	// origin is where an array of the network is found.
	origin(m *Model, name string) origin
	// idle tells whether a tensor holds nothing that the network needs.
	idle(m *Model, name string) bool
	// write is the inverse of read: the keys of config.json, or an error if the family has no such network.
	write(m *Model) (map[string]any, error)
}

// families lists the kinds of models that are known.
func families() []family {
	return []family{bert{}, llama{}, gpt2{}, roberta{}, distilbert{}, transformer{}}
}

// Families are the names by which transformers knows the models that can be read.
func Families() []string {
	var all []string
	for _, f := range families() {
		all = append(all, f.types()...)
	}
	return all
}

// familyOf finds the family of a model_type.
func familyOf(name string) (family, bool) {
	for _, f := range families() {
		if slices.Contains(f.types(), name) {
			return f, true
		}
	}
	return nil, false
}

// origin says what tensor an array is made of, and how.
type origin struct {
	name      string
	also      string // another name of the same, in older files
	transpose bool   // stored [in, out]
	part, of  int    // which of several equal parts that lie side by side along the output; of 0: all
	skip      int    // rows that come before
	single    bool   // in a list of one
}

// Model understands the source. All that is not supported, missing, superfluous or of a wrong shape is one error, which matches
// [ErrSource].
func (s *Source) Model() (*Model, error) {
	name := s.Family()
	f, ok := familyOf(name)
	if !ok {
		return nil, fmt.Errorf("%w: %s: model_type = %s is not supported; want one of %s", ErrSource, s.Path, foreign.Quote(name), strings.Join(Families(), ", "))
	}
	r := &report{lines: slices.Clone(s.refused)}
	m := &Model{Family: name, source: s, family: f, Files: map[string][]byte{}}
	m.bare = !slices.ContainsFunc(s.order, func(name string) bool { return strings.HasPrefix(name, f.prefix()) })
	f.read(s, m, r)
	m.Task, m.Use = "masked", "eval"
	switch _, causal := m.Network.Body().(decoder.Config); {
	case causal:
		m.Task, m.Use = "language", "generate"
	case m.Dims.ImageSize > 0:
		m.Task, m.Use = "vision", "predict"
	case sentenceOf(m.Network) != nil:
		m.Task, m.Use = "sentence", "embed"
	case m.Dims.Outputs() > 0:
		m.Task, m.Use = "texts", "predict"
	}
	if n := m.Network.Body().Blocks(); n > len(s.order) {
		r.add("config: %d layers, but there are %d tensors", n, len(s.order))
	}
	if len(r.lines) == 0 && m.Dims.ImageSize == 0 {
		m.readTokenizer(r)
	}
	if len(r.lines) == 0 {
		m.keepLabels(r)
		m.keepFiles(r)
	}
	if len(r.lines) == 0 {
		m.check(r)
	}
	return m, r.err(s.Path + " cannot be imported")
}

// declared are the arrays of the network, without memory.
func (m *Model) declared() (*nn.Store, error) {
	store := nn.NewStore(tensor.Float32)
	network, err := m.Network.Network(m.Dims)
	if err != nil {
		return nil, err
	}
	return store, model.Declare(network, store, m.Network.Represented(model.Options{}))
}

// check holds the tensors against the arrays that the network has.
func (m *Model) check(r *report) {
	store, err := m.declared()
	if err != nil {
		r.add("%v", err)
		return
	}
	used := map[string]bool{}
	for _, name := range store.Names() {
		o := m.family.origin(m, name)
		v, ok := m.find(o)
		if !ok {
			r.add("tensor %s is missing", o.name)
			continue
		}
		used[v.Name] = true
		if want := o.stored(store.Shape(name)); !slices.Equal(v.Shape, want) {
			r.add("tensor %s has shape %v; want %v", foreign.Quote(v.Name), v.Shape, want)
		} else if v.Type.Decode == nil {
			r.add("tensor %s has type %s, which holds no weights", foreign.Quote(v.Name), v.Type.Name)
		}
	}
	for _, name := range m.source.order {
		if !used[name] && !m.family.idle(m, strings.TrimPrefix(name, m.family.prefix())) {
			r.add("tensor %s is superfluous: the network has no place for it", foreign.Quote(name))
		}
	}
}

// find is the view of an origin, under its name in the source.
func (m *Model) find(o origin) (view, bool) {
	for _, name := range []string{o.name, o.also} {
		v, ok := m.source.views[name]
		if ok && name != "" {
			v.Name = name
			return v, true
		}
	}
	return view{}, false
}

// stored is the shape of the tensor in which an array of that shape lies.
func (o origin) stored(shape []int) []int {
	want := slices.Clone(shape)
	want[0] = want[0]*max(1, o.of) + o.skip
	if o.transpose {
		slices.Reverse(want)
	}
	if o.single {
		want = append([]int{1}, want...)
	}
	return want
}

// values are those of an array of the given shape. They may share the file's memory.
func (m *Model) values(name string, shape []int) ([]float32, error) {
	o := m.family.origin(m, name)
	v, ok := m.find(o)
	if !ok {
		return nil, fmt.Errorf("interchange: tensor %s is gone", o.name) // check has seen it
	}
	x, err := v.Values()
	if err != nil {
		return nil, err
	}
	if v.turned {
		x = transposed(x, v.Shape[1], v.Shape[0])
	}
	return o.cut(halves(x, v), shape), nil
}

// transposed is a matrix [rows, width] as [width, rows].
func transposed(x []float32, rows, width int) []float32 {
	out := make([]float32, len(x))
	for i := range rows {
		for j := range width {
			out[j*rows+i] = x[i*width+j]
		}
	}
	return out
}

// cut picks an array out of its tensor.
func (o origin) cut(x []float32, shape []int) []float32 {
	rows, width := shape[0], 1
	for _, n := range shape[1:] {
		width *= n
	}
	first := o.skip + o.part*rows
	if !o.transpose {
		return x[first*width : (first+rows)*width]
	}
	all := o.stored(shape)[1]
	out := make([]float32, rows*width)
	for i := range rows {
		for j := range width {
			out[i*width+j] = x[j*all+first+i]
		}
	}
	return out
}

// halves puts rows that are stored as pairs of neighbours into halves of heads: of a head of width K, row i and row K/2 + i are
// turned together, not rows 2i and 2i+1.
func halves(x []float32, v view) []float32 {
	if v.heads == 0 {
		return x
	}
	return reorder(x, v.Shape[0], v.heads, func(row, k int) int { return 2*(row%(k/2)) + row/(k/2) })
}

// pairs is its inverse.
func pairs(x []float32, rows, heads int) []float32 {
	return reorder(x, rows, heads, func(row, k int) int { return row%2*(k/2) + row/2 })
}

// reorder makes rows out of rows of x: in each head of k rows, the one that from says.
func reorder(x []float32, rows, heads int, from func(row, k int) int) []float32 {
	width, k := len(x)/rows, rows/heads
	out := make([]float32, len(x))
	for h := range heads {
		for row := range k {
			to, at := h*k+row, h*k+from(row, k)
			copy(out[to*width:(to+1)*width], x[at*width:(at+1)*width])
		}
	}
	return out
}

// readTokenizer reads or makes the tokenizer, which must know no more tokens than the network.
func (m *Model) readTokenizer(r *report) {
	text, err := m.source.tokenizer(m)
	if err != nil {
		r.add("tokenizer: %v", err)
		return
	}
	t, err := tokenizers.Load(text)
	if err != nil {
		r.add("tokenizer.json: %v", err)
		return
	}
	if n := t.VocabSize(); n > m.Dims.VocabSize {
		r.add("the tokenizer has %d tokens, the network %d", n, m.Dims.VocabSize)
	}
	if m.Dims.VocabSize != t.VocabSize() {
		switch n := m.Network.Of.(type) {
		case decoder.Config:
			n.Vocab = &m.Dims.VocabSize
			m.Network.Of = n
		case encoder.Config:
			n.Vocab = &m.Dims.VocabSize
			m.Network.Of = n
		}
	}
	m.Files["tokenizer.json"] = text
}

// keepLabels keeps the names of the classes, or that there are none.
func (m *Model) keepLabels(r *report) {
	if m.Dims.Outputs() == 0 {
		return
	}
	labels, err := json.MarshalIndent(labelFile{m.Labels, m.Pairs, m.Dims.Regression, m.Sigmoid}, "", "  ")
	if err != nil {
		r.add("labels: %v", err)
	}
	m.Files["labels.json"] = append(labels, '\n')
}

// bodied is a name of the body, as this source spells it.
func (m *Model) bodied(name string) string {
	if m.bare {
		return name
	}
	return m.family.prefix() + name
}

// note says something to a person.
func (m *Model) note(format string, args ...any) {
	m.Notes = append(m.Notes, fmt.Sprintf(format, args...))
}

// activations are the names of transformers for those of this project.
var activations = map[string]string{
	"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu", "silu": "silu", "swish": "silu",
}

// activation is a name of an activation.
func activation(c fields, r *report, key, otherwise string) string {
	name := cmp.Or(c.text(key), otherwise)
	own, ok := activations[name]
	if !ok {
		r.add("config: %s = %s is not supported; want gelu, gelu_new, relu or silu", key, cut(name))
		return "gelu"
	}
	return own
}

// theirs is the name by which transformers knows an activation of this project.
func theirs(own string) string {
	if own == "gelu_tanh" {
		return "gelu_new"
	}
	return own
}

// errNetwork says that a family has no such network.
var errNetwork = errors.New("the network is not one of this family")
