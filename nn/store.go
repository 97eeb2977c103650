package nn

import (
	"gorgonia.org/tensor"
)

// Store holds a model's parameters by name, in the order of their creation.
type Store struct {
	Dtype tensor.Dtype
	// Virtual makes new parameters of a name and a shape only, without memory:
	// enough to plan a model that this machine could not hold.
	Virtual bool

	names  []string
	shapes map[string]tensor.Shape
	values map[string]*tensor.Dense
}

// NewStore makes an empty store of parameters of type dtype.
func NewStore(dtype tensor.Dtype) *Store {
	return &Store{Dtype: dtype, shapes: map[string]tensor.Shape{}, values: map[string]*tensor.Dense{}}
}

// Names lists the parameters in the order of their creation.
func (s *Store) Names() []string { return s.names }

// Get returns the named parameter, nil if there is none or the store is virtual.
func (s *Store) Get(name string) *tensor.Dense { return s.values[name] }

// Shape returns the named parameter's shape, nil if there is none.
func (s *Store) Shape(name string) tensor.Shape { return s.shapes[name] }

// add makes a parameter, which must be new.
func (s *Store) add(name string, shape tensor.Shape) *tensor.Dense {
	s.names = append(s.names, name)
	s.shapes[name] = shape
	if s.Virtual {
		return nil
	}
	s.values[name] = tensor.New(tensor.Of(s.Dtype), tensor.WithShape(shape...))
	return s.values[name]
}

// Parameters is the number of values in all parameters.
func (s *Store) Parameters() int {
	n := 0
	for _, shape := range s.shapes {
		n += shape.TotalSize()
	}
	return n
}

// Bytes is the memory of all parameters.
func (s *Store) Bytes() int { return s.Parameters() * int(s.Dtype.Size()) }
