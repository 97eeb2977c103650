package nn

import (
	"sync"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Store holds a model's parameters by name, in the order of their creation. Once a network has named all of its own there,
// graphs of several goroutines may read it; making further graphs of that network then changes nothing.
type Store struct {
	Dtype tensor.Dtype
	// Virtual makes new parameters of a name and a shape only, without memory:
	// enough to plan a model that this machine could not hold.
	Virtual bool
	// Packed keeps new parameters that a checkpoint holds in few bits in those bits, where their layer can compute with
	// them (see [Spec]). A store so filled is to be used, not trained, and starts at zero there, for a
	// checkpoint to fill.
	Packed bool
	// Int8 makes linear layers compute by products of integers, of type float32 and where nothing trains: those of dense weights,
	// factors, the words' embedding and a head that is tied to it. See [kernel.GemmIntegers]. What holds values of float32 in 8
	// or 4 bits reads them as they are; others are rounded to 8 bits once the first graph is built, after which their values may not
	// change.
	Int8 bool

	names  []string
	shapes map[string]tensor.Shape
	steady map[string]bool // parameters that no weight decay pulls to zero
	values map[string]*tensor.Dense

	indexNames []string // integers that are saved but never trained
	sizes      map[string]int
	indices    map[string][]int32

	atomNames []string // atoms of dense_sparse layers
	atoms     map[string]*Atoms

	baseNames []string // frozen weights of lora layers
	bases     map[string]*Base

	quantized map[string]Quantization     // parameters that a checkpoint holds in few bits
	packed    map[string]kernel.Quantized // of those, the ones that are so in memory

	making   sync.Mutex                  // of integers
	integers map[string]*kernel.Integers // weights as products of integers read them

	words string // layer of the words' embedding; "": there is none

	layerNames []string // linear layers in the order of their creation
	layers     map[string]Layer
}

// NewStore makes an empty store of parameters of type dtype.
func NewStore(dtype tensor.Dtype) *Store {
	return &Store{
		Dtype: dtype, shapes: map[string]tensor.Shape{}, steady: map[string]bool{}, values: map[string]*tensor.Dense{},
		sizes: map[string]int{}, indices: map[string][]int32{}, atoms: map[string]*Atoms{}, bases: map[string]*Base{},
		quantized: map[string]Quantization{}, packed: map[string]kernel.Quantized{}, integers: map[string]*kernel.Integers{}, layers: map[string]Layer{},
	}
}

// Names lists the parameters in the order of their creation.
func (s *Store) Names() []string { return s.names }

// Get returns the named parameter, nil if there is none, it is in few bits or the store is virtual.
func (s *Store) Get(name string) *tensor.Dense { return s.values[name] }

// Shape returns the named parameter's shape, nil if there is none.
func (s *Store) Shape(name string) tensor.Shape { return s.shapes[name] }

// Decays tells whether weight decay pulls the named parameter to zero: as it was declared, by [Builder.Weight] or by
// [Builder.Steady].
func (s *Store) Decays(name string) bool { return !s.steady[name] }

// declare names a parameter, which must be new.
func (s *Store) declare(name string, shape tensor.Shape) {
	s.names = append(s.names, name)
	s.shapes[name] = shape
}

// make is the memory of a declared parameter.
func (s *Store) make(name string) *tensor.Dense {
	s.values[name] = tensor.New(tensor.Of(s.Dtype), tensor.WithShape(s.shapes[name]...))
	return s.values[name]
}

// IndexNames lists the integer arrays in the order of their creation.
func (s *Store) IndexNames() []string { return s.indexNames }

// Index returns the named integers, nil if there are none or the store is virtual.
func (s *Store) Index(name string) []int32 { return s.indices[name] }

// IndexLen is how many integers the named ones are.
func (s *Store) IndexLen(name string) int { return s.sizes[name] }

// AtomNames lists the index tables of dense_sparse layers in the order of their creation.
func (s *Store) AtomNames() []string { return s.atomNames }

// Atoms returns the named index table, nil if there is none.
func (s *Store) Atoms(name string) *Atoms { return s.atoms[name] }

// IndexBytes is the memory of all integers.
func (s *Store) IndexBytes() int {
	n := 0
	for _, a := range s.atoms {
		n += a.Len()
	}
	for _, size := range s.sizes {
		n += 4 * size
	}
	return n
}

// describe notes a linear layer once, and which of its parameters are stored, and stay, in few bits.
func (s *Store) describe(name string, l Layer, layout Layout) {
	if _, ok := s.layers[name]; !ok {
		s.layerNames = append(s.layerNames, name)
		s.layers[name] = l
	}
	for _, a := range layout.Arrays {
		full := name + "." + a.Name
		if a.Rounds && a.Stored.Bits > 0 {
			if have, known := s.quantized[full]; !known || have != a.Stored {
				s.quantized[full] = a.Stored
			}
			s.pack(full, a)
		}
	}
}

// Layers lists the names of the linear layers in the order of their creation.
func (s *Store) Layers() []string { return s.layerNames }

// Layer returns the named linear layer.
func (s *Store) Layer(name string) Layer { return s.layers[name] }

// Parameters is the number of trainable values in all parameters.
func (s *Store) Parameters() int {
	n := 0
	for _, shape := range s.shapes {
		n += shape.TotalSize()
	}
	return n
}

// Bytes is the memory of all parameters.
func (s *Store) Bytes() int {
	n := 0
	for name := range s.shapes {
		n += s.memory(name)
	}
	return n
}
