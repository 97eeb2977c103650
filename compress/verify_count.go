package compress

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/nn"
	"sparrow/saved"
)

// occupancy reads the indices of all dense-sparse layers from a checkpoint's file and returns those whose vectors do not have
// exactly as many different atoms as planned. Other numbers of indices than planned are a matter of sizes.
func (v *verifier) occupancy(dir string) ([]string, error) {
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	arrays, err := c.Arrays("model.npz")
	if err != nil {
		return nil, err
	}
	packed := map[string][]uint8{}
	for _, a := range arrays {
		if index, ok := a.Data.([]uint8); ok {
			packed[a.Name] = index
		}
	}
	var broken []string
	for _, l := range v.Plan.Layers {
		layer, err := v.planned(l)
		if err != nil {
			return nil, fmt.Errorf("%w: plan.json: %w", checkpoints.ErrCheckpoint, err)
		}
		if layer.IndexBytes() == 0 {
			continue
		}
		if index := packed[l.Name+".sparse.indices"]; len(index) == layer.IndexBytes() {
			if err := layer.CheckPacked(index); err != nil {
				broken = append(broken, fmt.Sprintf("%s: %s.sparse.indices: %v", dir, l.Name, err))
			}
		}
	}
	return broken, nil
}

// planned is the layer that the plan wants.
func (v *verifier) planned(l LayerPlan) (nn.Layer, error) {
	c, err := v.cfg.Compress.linear(l.target(), l.Option)
	return nn.Layer{Out: l.Out, In: l.In, Rule: c}, err
}

// stored are the shapes that a layer's values must have, and the bytes of its indices.
func (v *verifier) stored(l LayerPlan) (shapes map[string][]int, indexBytes int) {
	layer, _ := v.planned(l) // of which the occupancy was read before
	shapes = map[string][]int{}
	for _, a := range layer.Layout().Arrays {
		if a.Places == 0 && a.Atoms == nil { // values, not an index
			shapes["."+a.Name] = a.Shape
		}
	}
	return shapes, layer.IndexBytes()
}

// inBits are the arrays that a checkpoint holds of values of a shape, with their bytes.
func inBits(suffix string, shape []int, o Option) (arrays map[string][]int, bytes int) {
	n := tensor.Shape(shape).TotalSize()
	if o.Quantize == "" {
		return map[string][]int{suffix: shape}, valueBytes * n
	}
	codes, scales := n, (n+max(o.QuantBlock, 1)-1)/max(o.QuantBlock, 1)
	if o.Quantize == "int4" {
		codes = (n + 1) / 2
		shape = []int{codes}
	}
	return map[string][]int{suffix + ".codes": shape, suffix + ".absmax": {scales}}, codes + valueBytes*scales
}

// count: shapes, values and bytes of each layer are the plan's, and all together are within the budget; so are values and
// bytes of the whole model. After fine-tuning both checkpoints are counted.
func (v *verifier) count() {
	wrong, crowded, total := v.recount(v.oneoff)
	counted := "as planned"
	if v.tuned() {
		more, others, after := v.recount(v.final)
		wrong, crowded = append(wrong, more...), append(crowded, others...)
		counted = "as planned, before and after fine-tuning"
		total = Size{max(total.Params, after.Params), max(total.Bytes, after.Bytes)}
	}
	v.promise("sizes", fmt.Sprintf("%d layers have %d values in %d bytes, %s", len(v.Plan.Layers), total.Params, total.Bytes, counted), wrong)
	v.promise("occupancy", "no group has more weights than planned, and each vector exactly its atoms", crowded)
	used, b := total.Bytes, v.Plan.Budget
	if b.Unit == "params" {
		used = total.Params
	}
	var over []string
	if used > b.Limit {
		over = append(over, fmt.Sprintf("%d %s, want at most %d", used, b.Unit, b.Limit))
	}
	v.promise("budget", fmt.Sprintf("%d of %d %s", used, b.Limit, b.Unit), over)
}

// recount counts the layers in a checkpoint. Shapes are those of the manifest, which the reading has compared with the bytes.
func (v *verifier) recount(c *saved.Model) (wrong, crowdedGroups []string, total Size) {
	shapes := map[string][]int{}
	stored := 0
	for _, f := range c.Files.Manifest().Files {
		for _, e := range f.Entries {
			if f.Name == "model.npz" {
				shapes[e.Name] = e.Shape
				n := map[string]int{"uint8": 1}[e.DType]
				if n == 0 {
					n = valueBytes
				}
				for _, d := range e.Shape {
					n *= d
				}
				stored += n
			}
		}
	}
	for _, l := range v.Plan.Layers {
		want, indexBytes := v.stored(l)
		n, bytes := 0, indexBytes
		for suffix, shape := range want {
			arrays, size := inBits(suffix, shape, l.Option)
			for name, shape := range arrays {
				if got := shapes[l.Name+name]; !slices.Equal(got, shape) {
					wrong = append(wrong, fmt.Sprintf("%s%s has shape %v, want %v, in %s", l.Name, name, got, shape, c.Dir))
				}
			}
			n, bytes = n+tensor.Shape(shape).TotalSize(), bytes+size
		}
		if got := shapes[l.Name+".sparse.indices"]; indexBytes > 0 && !slices.Equal(got, []int{indexBytes}) {
			wrong = append(wrong, fmt.Sprintf("%s.sparse.indices has shape %v, want [%d], in %s", l.Name, got, indexBytes, c.Dir))
		}
		if m, ok := v.cfg.Compress.grouped(l.Option); ok {
			if i, g, ok := crowded(v.weight(c, l), l.Option.Nonzeros, m.GroupSize()); ok {
				crowdedGroups = append(crowdedGroups, fmt.Sprintf("%s, output %d, group %d has more than %d of %d weights, in %s", l.Name, i, g, l.Option.Nonzeros, m.GroupSize(), c.Dir))
			}
		}
		if n != l.Option.Params || bytes != l.Option.Bytes {
			wrong = append(wrong, fmt.Sprintf("%s has %d values in %d bytes, want %d in %d", l.Name, n, bytes, l.Option.Params, l.Option.Bytes))
		}
		total = Size{total.Params + n, total.Bytes + bytes}
	}
	slices.Sort(wrong)
	if n, want := c.Session.Store().Parameters(), v.Plan.Whole[1]; n != want.Params || stored != want.Bytes {
		wrong = append(wrong, fmt.Sprintf("the whole model has %d values in %d bytes, want %d in %d, in %s", n, stored, want.Params, want.Bytes, c.Dir))
	}
	return wrong, crowdedGroups, total
}
