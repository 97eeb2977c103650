package saved

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/kernel"
	"sparrow/nn"
)

// A parameter in few bits is two arrays of a checkpoint, which numpy reads: its codes, uint8, and the largest magnitude of
// each block of them, float32 (see kernel.Quantized).
const (
	codesSuffix  = ".codes"
	scalesSuffix = ".absmax"
)

// packedArrays views the codes of a parameter: in 8 bits they have its shape, in 4 they are a list of bytes.
func packedArrays(name string, shape []int, q kernel.Quantized) []checkpoints.Array {
	if q.Bits == 4 {
		shape = []int{len(q.Codes)}
	}
	return []checkpoints.Array{
		{Name: name + codesSuffix, Shape: shape, Data: q.Codes},
		{Name: name + scalesSuffix, Shape: []int{len(q.AbsMax)}, Data: q.AbsMax},
	}
}

// unpackValues sets w to the values of a parameter whose codes are among arrays that a checkpoint has filled; if they are
// not, it stays as it is. Codes that stand for no values are an error.
func unpackValues(w []float32, name string, q nn.Quantization, filled map[string]checkpoints.Array) error {
	codes, ok := filled[name+codesSuffix]
	if !ok {
		return nil
	}
	x := kernel.Quantized{Bits: q.Bits, Block: q.Block, Elements: len(w), Codes: codes.Data.([]uint8), AbsMax: filled[name+scalesSuffix].Data.([]float32)}
	if err := x.Check(); err != nil {
		return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, name, err)
	}
	kernel.Dequantize(w, x)
	return nil
}

// matchValues is [checkpoints.Checkpoint.Match] of a model's arrays, which are values here, whether the checkpoint holds
// them as such or in few bits.
func matchValues(c *checkpoints.Checkpoint, dst map[string]checkpoints.Array) (loaded, missing, unused []string, err error) {
	held, err := packedIn(c)
	if err != nil {
		return nil, nil, nil, err
	}
	packed := map[string]checkpoints.Array{}
	for name, q := range held {
		a, ok := dst[name]
		if _, float := a.Data.([]float32); !ok || !float {
			continue
		}
		packed[name] = a
		delete(dst, name)
		for _, x := range packedArrays(name, a.Shape, kernel.NewQuantized(q.Bits, q.Block, len(a.Data.([]float32)))) {
			dst[x.Name] = x
		}
	}
	if loaded, missing, unused, err = c.Match("model.npz", dst); err != nil {
		return nil, nil, nil, err
	}
	for name, a := range packed {
		if slices.Contains(loaded, name+codesSuffix) && slices.Contains(loaded, name+scalesSuffix) {
			if err := unpackValues(a.Data.([]float32), name, held[name], dst); err != nil {
				return nil, nil, nil, err
			}
			loaded = append(loaded, name)
		} else {
			missing = append(missing, name)
		}
		delete(dst, name+codesSuffix)
		delete(dst, name+scalesSuffix)
		dst[name] = a
	}
	part := func(x string) bool { // of what is listed as one parameter
		for _, suffix := range []string{codesSuffix, scalesSuffix} {
			if name, ok := strings.CutSuffix(x, suffix); ok && packed[name].Data != nil {
				return true
			}
		}
		return false
	}
	loaded, missing = slices.DeleteFunc(loaded, part), slices.DeleteFunc(missing, part)
	slices.Sort(loaded)
	slices.Sort(missing)
	return loaded, missing, unused, nil
}

// packedIn lists the parameters that a checkpoint holds in few bits.
func packedIn(c *checkpoints.Checkpoint) (map[string]nn.Quantization, error) {
	held := map[string]nn.Quantization{}
	any := false
	for _, f := range c.Manifest().Files {
		for _, e := range f.Entries {
			any = any || strings.HasSuffix(e.Name, scalesSuffix)
		}
	}
	if !any {
		return held, nil
	}
	l, err := Describe(c.Dir(), "", false)
	if err != nil {
		return nil, err
	}
	s := l.Session.Store()
	for _, name := range s.Names() {
		if q := s.Quantization(name); q.Bits > 0 {
			held[name] = q
		}
	}
	for _, name := range s.BaseNames() {
		if q := s.Base(name).Stored; q.Bits > 0 {
			held[name] = q
		}
	}
	return held, nil
}

// SameWeights tells whether a checkpoint has the weights of a store, by name and shape; of an adapter some of them.
func SameWeights(m checkpoints.Manifest, s *nn.Store, adapter bool) bool {
	for _, f := range m.Files {
		if f.Name != "model.npz" {
			continue
		}
		for _, e := range f.Entries {
			if shape := s.Shape(e.Name); shape != nil && !slices.Equal(shape, e.Shape) {
				return false
			}
		}
		return adapter || !slices.ContainsFunc(s.Names(), func(name string) bool {
			return !slices.ContainsFunc(f.Entries, func(e checkpoints.Entry) bool { return e.Name == name || e.Name == name+codesSuffix })
		})
	}
	return true
}
