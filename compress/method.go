package compress

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/factor"
	"sparrow/nn"
)

// Target is a linear layer that is compressed.
type Target struct {
	Name    string
	Out, In int
	Weight  *factor.Matrix // W [Out, In]; nil where only sizes are asked for
	Method  string         // that the config names
	Storage                // of what the layer becomes, by the config
}

// DenseParams is the number of weights, biases left out.
func (t Target) DenseParams() int { return t.Out * t.In }

// size counts the values of a representation and the bytes of them and their indices.
func (t Target) size(linear nn.Rule) Size {
	l := nn.Layer{Out: t.Out, In: t.In, Rule: linear}
	return Size{l.Parameters(), l.StoredBytes(tensor.Float32)}
}

// Storage is how a checkpoint holds values.
type Storage struct {
	Quantize   string `json:"quantize,omitempty"`    // int8 or int4; none: float32
	QuantBlock int    `json:"quant_block,omitempty"` // of them share a scale
}

// Option is something that a layer can become. Which of the numbers it has depends on the method.
type Option struct {
	Method   string `json:"method"`             // that made it; dense: the layer stays as it is
	Rank     int    `json:"rank,omitempty"`     // of low rank
	Atoms    int    `json:"atoms,omitempty"`    // of dsformer: K
	Blocks   int    `json:"blocks,omitempty"`   // of dsformer, of the cut side
	Nonzeros int    `json:"nonzeros,omitempty"` // of magnitude: N of N:M; of dsformer: of a vector in all blocks together
	Params   int    `json:"params"`             // values
	Storage
	Bytes int     `json:"bytes"` // of values and indices
	Loss  float64 `json:"loss"`  // predicted increase, by the layer's measure
}

// Method makes layers smaller. Its exported fields are its config, all of it: results are kept under their values.
type Method interface {
	// Needs says what it reads of calibration data.
	Needs() Needs
	// Options are what t can become, in ascending order of bytes, with what each is predicted to cost; that t stays dense
	// is an option without saying. The caller counts values and bytes, and leaves out what is not smaller than t. A
	// decomposition whose first Rank terms are an option's form comes with them, nil if there is none. A layer
	// that the method cannot take is an error that matches train.ErrUsage.
	Options(ctx context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error)
	// Linear is the [[model.linear]] table of t as an option, without its name. Numbers that no layer of t's sizes can have
	// are an error.
	Linear(t Target, o Option) (nn.Rule, error)
	// Apply makes t an option.
	Apply(ctx context.Context, t Target, s *Statistics, o Option) (*Form, error)
}

// Candidate is a method that takes part where methods compete, on layers that it fits.
type Candidate interface {
	Method
	Fits(t Target) bool
}

// Grouped is a method that keeps some weights of every group of inputs, in a dense_sparse layer whose dictionary is the
// identity and must not train.
type Grouped interface {
	Method
	GroupSize() int // inputs
}

// Decided is a method which leaves some layers no choice: they have one option, so that nothing need be known of them to
// choose it.
type Decided interface {
	Method
	Decided(t Target) bool
}

// Choice is an entry of the list of methods.
type Choice struct {
	Name string
	New  func(Settings) Method // nil: of the candidates in the list the one with the least loss, for each layer and size

	Slow   bool // Apply factorizes for long: few of its options are measured as they are stored in few bits
	Sparse bool // its layers are made of atoms, which [compress.finetune.stf] trains
}

// Methods are the methods that a config can name. A caller may extend them in [Settings].
func Methods() []Choice {
	return []Choice{
		{Name: "svd", New: newSVD},
		{Name: "fwsvd", New: newFWSVD},
		{Name: "tfwsvd", New: newTFWSVD},
		{Name: "svd_llm", New: newSVDLLM},
		{Name: "asvd", New: newASVD},
		{Name: "magnitude", New: newMagnitude},
		{Name: "dsformer", New: newDSFormer, Slow: true, Sparse: true},
		{Name: "quantize", New: newQuantize},
		{Name: "interpolative", New: newInterpolative},
		{Name: "auto"},
	}
}

// stays is the method of a layer that keeps its dense weight.
const stays = "dense"

// Untouched tells whether a layer stays as it is, bit by bit.
func (o Option) Untouched() bool { return o.Method == stays && o.Storage == (Storage{}) }

// named is a method with its entry in the list.
type named struct {
	Choice
	Method
}

// methods are those that a name in the config stands for: one, or all candidates.
func (c Settings) methods(name string) []named {
	var all []named
	i := slices.IndexFunc(c.Methods, func(m Choice) bool { return m.Name == name })
	if i < 0 {
		return nil // stays
	}
	if m := c.Methods[i]; m.New != nil {
		return []named{{m, m.New(c)}}
	}
	for _, m := range c.Methods {
		if m.New == nil {
			continue
		}
		if x, ok := m.New(c).(Candidate); ok {
			all = append(all, named{m, x})
		}
	}
	return all
}

// made is the method that made an option; a name that is none is an error.
func (c Settings) made(o Option) (named, error) {
	i := slices.IndexFunc(c.Methods, func(m Choice) bool { return m.Name == o.Method && m.New != nil })
	if i < 0 {
		return named{}, fmt.Errorf("compress: method %q is unknown; want one of %s", o.Method, strings.Join(c.names(), ", "))
	}
	return named{c.Methods[i], c.Methods[i].New(c)}, nil
}

// grouped is the method that made an option, if it keeps some weights of groups.
func (c Settings) grouped(o Option) (Grouped, bool) {
	m, err := c.made(o)
	if err != nil {
		return nil, false
	}
	g, ok := m.Method.(Grouped)
	return g, ok
}

// names are those of the methods.
func (c Settings) names() []string {
	var names []string
	for _, m := range c.Methods {
		names = append(names, m.Name)
	}
	return names
}

// needs is what the methods that a name stands for read.
func (c Settings) needs(name string) (n Needs) {
	for _, m := range c.methods(name) {
		n = n.or(m.Needs())
	}
	return n
}

// decided tells whether a layer has one option only.
func (c Settings) decided(t Target) bool {
	all := c.methods(t.Method)
	if len(all) != 1 {
		return false
	}
	m, ok := all[0].Method.(Decided)
	return ok && m.Decided(t)
}

// linear is how a layer is represented that becomes an option.
func (c Settings) linear(t Target, o Option) (linear nn.Rule, err error) {
	linear.OneOf = nn.As(nn.Dense{})
	if o.Method != stays {
		m, err := c.made(o)
		if err != nil {
			return linear, err
		}
		if linear, err = m.Linear(t, o); err != nil {
			return linear, err
		}
	}
	linear.Quantize, linear.QuantBlock = o.Quantize, o.QuantBlock
	return linear, nil
}

// apply makes a layer what an option says, in float32.
func (c Settings) apply(ctx context.Context, t Target, s *Statistics, o Option) (*Form, error) {
	if o.Method == stays {
		return DenseForm(t), nil
	}
	m, err := c.made(o)
	if err != nil {
		return nil, err
	}
	return m.Apply(ctx, t, s, o)
}

// Describe says an option in a few words.
func (o Option) Describe() string {
	var words []string
	switch {
	case o.Rank > 0:
		words = append(words, fmt.Sprintf("rank %d", o.Rank))
	case o.Atoms > 0:
		words = append(words, fmt.Sprintf("%.2f of %d atoms", float64(o.Nonzeros)/float64(o.Blocks), o.Atoms))
	case o.Nonzeros > 0:
		words = append(words, fmt.Sprintf("%d of a group", o.Nonzeros))
	}
	text := strings.Join(append([]string{o.Method}, words...), " ")
	if o.Quantize != "" {
		text += ", " + o.Quantize
	}
	return text
}
