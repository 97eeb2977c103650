package nn

import (
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/configs"
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

// Quantization is how a checkpoint holds the values of such a layer; of a lora layer, which trains, as they are.
func (c LinearConfig) Quantization() Quantization {
	return quantization(c.Quantize, c.QuantBlock, defaultBlock)
}

// base is how a lora layer keeps its frozen weight.
func (c LinearConfig) base() Quantization {
	return quantization(c.Base, c.QuantBlock, defaultBaseBlock)
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

// Limits of a block: a scale of 4 bytes for fewer values is more than what it saves; and more are no block.
const minBlock, maxBlock = 8, 1 << 16

func (c LinearConfig) validateQuantBlock(r *configs.Report) {
	switch {
	case c.QuantBlock == 0:
	case c.QuantBlock < minBlock || c.QuantBlock > maxBlock:
		r.Errorf("quant_block", "is out of range; want %d to %d values, or 0 for the default", minBlock, maxBlock)
	case c.Quantization().Bits == 0 && c.base().Bits == 0:
		r.Errorf("quant_block", `is for values in few bits; want quantize, or the base of a lora layer, to be "int8" or "int4"`)
	}
}

// values are the names of a layer's parameters that make its weight, after the layer's own, with how many each has: all but
// the bias and a learned scale.
func (l Layer) values() []layerValues {
	factors := func() []layerValues {
		r := l.Config.Rank
		return []layerValues{{".down.weight", r * l.In}, {".up.weight", l.Out * r}}
	}
	switch l.Kind {
	case "low_rank", "lora":
		return factors()
	case "sltrain":
		return append(factors(), layerValues{".sparse.values", l.Nonzeros()})
	case "dense_sparse":
		return []layerValues{{".dictionary.weight", l.dictionaries() * l.Config.Atoms * l.Config.Block}, {".sparse.values", l.Nonzeros()}}
	}
	return []layerValues{{".weight", l.Out * l.In}}
}

type layerValues struct {
	suffix string
	n      int
}

// StoredBytes is what a checkpoint holds of a layer, the bias left out: its values in their bits, the places of sparse ones,
// and of a lora layer the frozen weight.
func (l Layer) StoredBytes(dtype tensor.Dtype) int {
	size := int(dtype.Size())
	n, q := l.IndexBytes()+l.BaseBytes(dtype), l.Config.Quantization()
	for _, v := range l.values() {
		n += q.Bytes(v.n, size)
	}
	if l.Kind == "sltrain" && l.Config.TrainScale {
		n += size
	}
	return n
}

// quantize notes which parameters of a linear layer are stored in few bits.
func (s *Store) quantize(layer string) {
	l := s.layers[layer]
	q := l.Config.Quantization()
	if q.Bits == 0 {
		return
	}
	for _, v := range l.values() {
		s.quantized[layer+v.suffix] = q
	}
}

// Quantization is how a checkpoint holds the named parameter.
func (s *Store) Quantization(name string) Quantization { return s.quantized[name] }

// Quantized tells whether any layer is stored in few bits, and names the first.
func (s *Store) Quantized() (layer string, ok bool) {
	for _, name := range s.layerNames {
		if s.layers[name].Config.Quantization().Bits > 0 {
			return name, true
		}
	}
	return "", false
}

// Codes are the values of the named parameter, of type float32, as a checkpoint holds them in few bits. They stay as they
// are if they came from codes. Of a parameter that is in few bits in memory they are its memory, else a copy.
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
