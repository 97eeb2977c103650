package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/op"
)

// Quantization is in how many bits values are stored, with a scale for each block of them (see kernel.Quantized). The zero
// value stores them as they are.
type Quantization struct{ Bits, Block int }

// Blocks that a config leaves out: of stored values, and of a lora layer's base.
const (
	defaultBlock     = 64
	defaultBaseBlock = 256
)

// bitsOf are the bits of a type's name.
var bitsOf = map[string]int{"int8": 8, "int4": 4}

// Name is int8, int4 or float32.
func (q Quantization) Name() string {
	if q.Bits == 0 {
		return "float32"
	}
	return fmt.Sprintf("int%d", q.Bits)
}

// Bytes is what n values take, each of size bytes if they are stored as they are.
func (q Quantization) Bytes(n, size int) int {
	if q.Bits == 0 {
		return n * size
	}
	return q.planned(n).Bytes()
}

// planned is a tensor of n values without memory.
func (q Quantization) planned(n int) kernel.Quantized {
	return kernel.Quantized{Bits: q.Bits, Block: q.Block, Elements: n}
}

func (q Quantization) zeros(n int) kernel.Quantized { return kernel.NewQuantized(q.Bits, q.Block, n) }

// Round replaces values by those that come back once they were stored. Values that are no finite numbers are an error.
func (q Quantization) Round(w []float32) error {
	if !kernel.AllFinite(w) {
		return fmt.Errorf("nn: values to be stored as %s are not all finite numbers", q.Name())
	}
	if q.Bits > 0 {
		codes := q.zeros(len(w))
		codes.Quantize(w)
		kernel.Dequantize(w, codes)
	}
	return nil
}

func quantization(name string, block, otherwise int) Quantization {
	if block == 0 {
		block = otherwise
	}
	if bitsOf[name] == 0 {
		return Quantization{}
	}
	return Quantization{bitsOf[name], block}
}

// Quantization is how a checkpoint holds the named parameter.
func (s *Store) Quantization(name string) Quantization { return s.quantized[name] }

// Quantized tells whether any layer is stored in few bits, and names the first.
func (s *Store) Quantized() (layer string, ok bool) {
	for _, name := range s.layerNames {
		if s.layers[name].Rule.Quantization().Bits > 0 {
			return name, true
		}
	}
	return "", false
}

// Codes are the values of the named parameter, of type float32, as a checkpoint holds them in few bits. They stay as they
// are if they came from codes. They are the memory of a parameter that is in few bits there, else a copy.
func (s *Store) Codes(name string) kernel.Quantized {
	if q, ok := s.packed[name]; ok {
		return q
	}
	w := s.values[name].Float32s()
	q := s.quantized[name].zeros(len(w))
	q.Quantize(w)
	return q
}

// StoredBytes is what a checkpoint holds of all parameters, places of sparse values and frozen weights.
func (s *Store) StoredBytes() int {
	n := s.BaseBytes()
	for name, shape := range s.shapes {
		n += s.quantized[name].Bytes(shape.TotalSize(), int(s.Dtype.Size()))
	}
	for _, a := range s.atoms {
		n += a.PackedLen()
	}
	for _, size := range s.sizes {
		n += 4 * size
	}
	return n
}

// pack notes a parameter that stays in few bits, if it is not there yet and its operator can read it so.
func (s *Store) pack(name string, a Spec) {
	if s.Packed && a.Packs && s.shapes[name] == nil {
		s.packed[name] = a.Stored.planned(a.size())
	}
}

// zeroCodes makes the codes of a parameter that stays in few bits; they stand for zeros.
func (s *Store) zeroCodes(name string) {
	q := s.packed[name]
	s.packed[name] = kernel.NewQuantized(q.Bits, q.Block, q.Elements)
}

// InFewBits tells whether the named parameter is in few bits in memory too: then Get has no tensor of it, and Codes are its
// values.
func (s *Store) InFewBits(name string) bool {
	_, ok := s.packed[name]
	return ok
}

// memory is what the named parameter takes: of one that products of integers read, those, since nothing reads what they were made of.
func (s *Store) memory(name string) int {
	if w, ok := s.integers[name]; ok {
		return w.Bytes()
	}
	if q, ok := s.packed[name]; ok {
		return q.Bytes()
	}
	return s.shapes[name].TotalSize() * int(s.Dtype.Size())
}

// linear is y = x Wᵀ + b for a weight as the store holds it; bias may be nil.
func (w Weight) linear(x *G.Node, bias *Weight) *G.Node {
	if w.b.byIntegers() {
		return op.IntegerLinear(w.b.Tape, x, w.integers(), bias.use())
	}
	if q, ok := w.b.Store.packed[w.name]; ok {
		return op.QuantizedLinear(w.b.Tape, x, q, w.shape[0], bias.use())
	}
	return op.Linear(x, w.Use(), bias.use())
}

// value is the weight as a value of the graph, for operators without a backward pass.
func (w Weight) value() *G.Node {
	if q, ok := w.b.Store.packed[w.name]; ok {
		return op.Dequantized(w.b.Tape, w.name+absMaxSuffix, q, w.shape[0], w.shape[1])
	}
	return w.Use().Node
}

// byIntegers tells whether layers compute by products of integers.
func (b *Builder) byIntegers() bool {
	return b.Store.Int8 && b.Tape.Dtype == tensor.Float32 && !b.Tape.Training()
}

// integers are the weight's as products of integers read it. The first graph makes them.
func (w Weight) integers() *kernel.Integers {
	s := w.b.Store
	s.making.Lock()
	defer s.making.Unlock()
	if have, ok := s.integers[w.name]; !ok || !have.Filled() && !s.Virtual {
		s.integers[w.name] = s.Integers(w.name)
	}
	return s.integers[w.name]
}

// Integers makes of the named matrix what products of integers read of it.
func (s *Store) Integers(name string) *kernel.Integers {
	out, in := s.shapes[name][0], s.shapes[name][1]
	return kernel.NewIntegers(s.fewBits(name, in), out, in)
}

// ByIntegers lists the matrices that products of integers read, with [Store.Int8], in the order of their creation: dense weights and
// factors of linear layers, and the words' embedding.
func (s *Store) ByIntegers() []string {
	read := map[string]bool{s.words + ".weight": true}
	for name, l := range s.layers {
		for _, a := range l.Layout().Arrays {
			read[name+"."+a.Name] = a.Packs
		}
	}
	var names []string
	for _, name := range s.names {
		if read[name] && len(s.shapes[name]) == 2 {
			names = append(names, name)
		}
	}
	return names
}

// fewBits are the values of a matrix with rows of length in, in the bits that a checkpoint holds it in, or else in 8.
func (s *Store) fewBits(name string, in int) kernel.Quantized {
	q, ok := s.quantized[name]
	if !ok || q.Bits == 0 {
		q = Quantization{8, kernel.IntegerBlock(in)}
	}
	if s.Virtual {
		return q.planned(s.shapes[name].TotalSize())
	}
	if codes, ok := s.packed[name]; ok {
		return codes
	}
	w := s.values[name].Float32s()
	codes := q.zeros(len(w))
	codes.Quantize(w)
	return codes
}

const absMaxSuffix = ".absmax" // of the input of a graph that stands for a packed weight's scales
