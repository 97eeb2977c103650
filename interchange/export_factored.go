package interchange

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sparrow/checkpoints"
	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/safetensors"
	"sparrow/nn"
)

// Factored is a linear layer as a checkpoint holds it.
type Factored struct {
	Layer  nn.Layer
	Scale  float64             // of the product of its factors
	Arrays []checkpoints.Array // by the names after the layer's
}

// factoredLayer is an entry of factored.json: which part of which tensor a layer stands for, and what its arrays mean. The arrays
// have the prefix's names and those of model.npz.
type factoredLayer struct {
	Tensor     string `json:"tensor"`
	Prefix     string `json:"prefix"`
	Kind       string `json:"kind"`
	Shape      [2]int `json:"shape"` // [out, in]
	Part       int    `json:"part"`  // of equal parts along the outputs
	Parts      int    `json:"parts"`
	Transposed bool   `json:"transposed"` // the tensor is [in, out]

	FewBits map[string]fewBits `json:"few_bits,omitempty"` // by the names of arrays
	Scale   float64            `json:"scale,omitempty"`    // of the product of factors

	Atoms    int    `json:"atoms,omitempty"`
	Nonzeros []int  `json:"nonzeros,omitempty"` // of each block
	Axis     string `json:"axis,omitempty"`
	Shared   bool   `json:"shared,omitempty"`
}

// fewBits says how codes become values.
type fewBits struct {
	Bits  int   `json:"bits"`
	Block int   `json:"block"`
	Shape []int `json:"shape"`
}

// exportFactored writes a folder whose factored layers stay so: factored.safetensors and factored.json in place of
// model.safetensors, which nobody takes for a whole model.
func (c Checkpoint) exportFactored(path string) error {
	return c.exportFolder(path, "factored.safetensors", func(file string, m *Model) error {
		tensors, layers, err := c.factoredTensors(m)
		if err != nil {
			return err
		}
		text, err := json.MarshalIndent(map[string]any{"layers": layers}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), "factored.json"), append(text, '\n'), 0o644); err != nil {
			return err
		}
		return safetensors.WriteFile(file, tensors, map[string]string{"format": "pt"})
	})
}

// factoredTensors are tensors with the arrays of a tensor's layers in place of those that have factored ones, and what they mean.
func (c Checkpoint) factoredTensors(m *Model) (tensors []foreign.Source, layers []factoredLayer, err error) {
	whole := map[string]bool{} // tensors that no factored layer is a part of
	for _, t := range c.tensors(m) {
		whole[t.Name] = true
	}
	for layer := range c.Factored {
		delete(whole, m.family.origin(m, layer+".weight").name)
	}
	for _, t := range c.tensors(m) {
		if whole[t.Name] {
			tensors = append(tensors, t)
		}
	}
	for _, name := range c.Names {
		o := m.family.origin(m, name)
		if whole[o.name] {
			continue
		}
		f, ok := c.Factored[strings.TrimSuffix(name, ".weight")]
		if !ok { // a dense part of a tensor that has another
			shape := c.Shape(name)
			f.Layer = nn.Layer{In: shape[1], Out: shape[0], Rule: nn.Rule{OneOf: nn.As(nn.Dense{})}}
			f.Arrays = []checkpoints.Array{{Name: "weight", Shape: shape, Data: c.Values(name)}}
		}
		l := factoredLayer{
			Tensor: o.name, Prefix: strings.TrimSuffix(o.name, ".weight"), Kind: f.Layer.Rule.Name, Shape: [2]int{f.Layer.Out, f.Layer.In}, Part: o.part, Parts: max(1, o.of),
			Transposed: o.transpose, FewBits: map[string]fewBits{}, Scale: f.Scale,
		}
		if o.of > 0 {
			l.Prefix += "." + strconv.Itoa(o.part)
		}
		switch k := f.Layer.Rule.Of.(type) {
		case nn.Dense, nn.LowRank, nn.LoRA, nn.SLTrain:
		case nn.DenseSparse:
			l.Atoms, l.Nonzeros, l.Axis, l.Shared = k.Atoms, k.BlockNonzeros(f.Layer.In, f.Layer.Out), k.Axis, k.Shared
		default:
			return nil, nil, fmt.Errorf("%w: layers of kind %q have no form of their own outside: leave --factored out", ErrExport, f.Layer.Rule.Name)
		}
		for _, a := range f.Layer.Layout().Arrays {
			if a.Stored.Bits > 0 {
				l.FewBits[a.Name] = fewBits{a.Stored.Bits, a.Stored.Block, a.Shape}
			}
		}
		for _, a := range f.Arrays {
			tensors = append(tensors, plainSource(l.Prefix+"."+a.Name, a))
		}
		layers = append(layers, l)
	}
	return tensors, layers, nil
}

// plainSource is an array as it is.
func plainSource(name string, a checkpoints.Array) foreign.Source {
	s := foreign.Source{Name: name, Shape: slices.Clone(a.Shape)}
	switch x := a.Data.(type) {
	case []float32:
		s.Type, s.Values = foreign.F32, func() ([]float32, error) { return x, nil }
	case []uint8:
		s.Type, s.Raw = foreign.U8, func() ([]byte, error) { return x, nil }
	case []int32:
		s.Type, s.Raw = foreign.I32, func() ([]byte, error) {
			raw := make([]byte, 0, 4*len(x))
			for _, v := range x {
				raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
			}
			return raw, nil
		}
	default:
		panic(fmt.Sprintf("interchange: array %s is a %T", name, a.Data)) // impossible: no checkpoint has others
	}
	return s
}

// FactoredLayers are the linear layers of a store that are not dense in float32, of the arrays that a checkpoint has of it.
func FactoredLayers(s *nn.Store, arrays []checkpoints.Array) map[string]Factored {
	layers := map[string]Factored{}
	for _, name := range s.Layers() {
		l := s.Layer(name)
		if l.Rule.Dense() && l.Rule.Quantization().Bits == 0 || l.Words { // an embedding is exported whole
			continue
		}
		f := Factored{Layer: l}
		held := map[string]nn.Array{}
		for _, a := range arrays {
			part, ok := strings.CutPrefix(a.Name, name+".")
			if !ok || part == "bias" {
				continue
			}
			held[part] = nn.Array{Shape: a.Shape, Data: a.Data}
			a.Name = part
			f.Arrays = append(f.Arrays, a)
		}
		if k, ok := l.Factored(); ok {
			f.Scale = k.ProductScale(held)
			f.Arrays = slices.DeleteFunc(f.Arrays, func(a checkpoints.Array) bool { return a.Name == "scale" })
		}
		layers[name] = f
	}
	return layers
}
