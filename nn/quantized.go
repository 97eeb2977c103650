package nn

import (
	"fmt"

	"sparrow/kernel"
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
