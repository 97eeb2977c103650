package saved

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/internal/shell"
	"sparrow/nn"
)

// BaseArrays views the frozen weights of lora layers.
func BaseArrays(s *nn.Store) []checkpoints.Array {
	var out []checkpoints.Array
	for _, name := range s.BaseNames() {
		b := s.Base(name)
		if b.Stored.Bits == 0 {
			out = append(out, checkpoints.Array{Name: name, Shape: []int{b.Out, b.In}, Data: b.Weight.Data()})
			continue
		}
		out = append(out, packedArrays(name, []int{b.Out, b.In}, b.Codes)...)
	}
	return out
}

// denseBases are the weights of which a store's packed bases are made, by name.
type denseBases map[string]checkpoints.Array

// denseArrays views a store as what a checkpoint of dense layers can fill: in
// place of each packed base its dense weight, which settle rounds, and in place of
// codes of parameters their values. Until then the bases' weights are all in memory.
func denseArrays(s *nn.Store) (dst map[string]checkpoints.Array, dense denseBases) {
	dst, dense = ByName(Arrays(s)), denseBases{}
	for _, name := range s.BaseNames() {
		b := s.Base(name)
		if b.Stored.Bits == 0 {
			continue
		}
		delete(dst, name+codesSuffix)
		delete(dst, name+scalesSuffix)
		w := tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(b.Out, b.In))
		dense[name] = checkpoints.Array{Name: name, Shape: w.Shape(), Data: w.Float32s()}
		dst[name] = dense[name]
	}
	for _, name := range s.Names() {
		if s.Quantization(name).Bits == 0 {
			continue
		}
		delete(dst, name+codesSuffix)
		delete(dst, name+scalesSuffix)
		dst[name] = Views([]string{name}, "", s.Get)[0]
	}
	return dst, dense
}

// settle puts the dense weights that have been loaded into the packed bases, rounds
// loaded parameters that are stored in few bits, and returns the names of all arrays of the store that came from that checkpoint.
func (d denseBases) settle(s *nn.Store, loaded []string) (map[string]bool, error) {
	names := map[string]bool{}
	for _, name := range loaded {
		var err error
		if w, ok := d[name]; ok {
			err = s.Base(name).Set(w.Data.([]float32))
		} else if q := s.Quantization(name); q.Bits > 0 {
			err = q.Round(s.Get(name).Float32s())
		} else {
			names[name] = true
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("train: %s: %w", name, err)
		}
		names[name+codesSuffix], names[name+scalesSuffix] = true, true
	}
	return names, s.CheckIndices()
}

// adapterArrays reads the arrays of an adapter's checkpoint and of its base, of which all are those of a store. What the base
// gives are values, as it holds them or of its codes. inherited are the names of the arrays that are the base's.
func adapterArrays(c, base *checkpoints.Checkpoint, s *nn.Store, all map[string]checkpoints.Array) (arrays map[string]checkpoints.Array, inherited map[string]bool, err error) {
	own := map[string]bool{}
	for _, f := range c.Manifest().Files {
		if f.Name == "model.npz" {
			for _, e := range f.Entries {
				own[e.Name] = true
			}
		}
	}
	mine, rest := map[string]checkpoints.Array{}, map[string]checkpoints.Array{}
	coded := map[string]bool{} // of rest, what the store holds in few bits
	for name, a := range all {
		held, codes := strings.CutSuffix(name, codesSuffix)
		_, scales := strings.CutSuffix(name, scalesSuffix)
		switch {
		case own[name]:
			mine[name] = a
		case codes:
			shape := []int(s.Shape(held))
			if b := s.Base(held); b != nil {
				shape = []int{b.Out, b.In}
			}
			rest[held] = checkpoints.Array{Name: held, Shape: shape, Data: make([]float32, tensor.Shape(shape).TotalSize())}
			coded[held] = true
		case !scales:
			rest[name] = a
		}
	}
	if err := c.ReadInto("model.npz", mine); err != nil {
		return nil, nil, err
	}
	loaded, missing, _, err := matchValues(base, rest)
	if err != nil {
		return nil, nil, damagedBase(c, err)
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("%w: %s: %d weights are neither in the adapter nor, in that shape, in its base %s; the first is %s",
			checkpoints.ErrCheckpoint, c.Dir(), len(missing), base.Dir(), missing[0])
	}
	inherited = map[string]bool{}
	for _, name := range loaded {
		mine[name] = rest[name]
		if coded[name] {
			inherited[name+codesSuffix], inherited[name+scalesSuffix] = true, true
		} else {
			inherited[name] = true
		}
	}
	return mine, inherited, nil
}

// FindBase opens the checkpoint that the adapter c was trained on. It is looked
// for at where, a run or a checkpoint, or without that at the recorded path: as
// it is, then, if it is relative, from each folder above the adapter. Only the
// checkpoint whose manifest has the recorded SHA-256 will do.
func FindBase(c *checkpoints.Checkpoint, where string) (*checkpoints.Checkpoint, error) {
	want := c.Manifest().Parent
	if want == nil {
		return nil, fmt.Errorf("%w: %s holds an adapter, but its manifest names no base", checkpoints.ErrCheckpoint, c.Dir())
	}
	found := "is not there"
	var places []string
	if where == "" {
		where = filepath.FromSlash(want.Path)
		places = above(c.Dir(), where)
	} else {
		list, damaged, err := checkpoints.Scan(where)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if len(damaged) > 0 {
			found = fmt.Sprintf("is not there whole: %s", damageOf(damaged))
		}
		places = append([]string{where}, list...)
	}
	for _, dir := range places {
		if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err != nil {
			continue
		}
		base, err := checkpoints.Open(dir)
		if err != nil {
			return nil, damagedBase(c, err)
		}
		if base.Manifest().SHA256 == want.SHA256 {
			return base, nil
		}
		found = fmt.Sprintf("is another checkpoint, with SHA-256 %.12s", base.Manifest().SHA256)
	}
	return nil, fmt.Errorf("%w: %s is an adapter, and its base %s %s; want the checkpoint with SHA-256 %s in its manifest: put it back, or say where it is with --base PATH",
		ErrNotFound, c.Dir(), where, found, want.SHA256)
}

// damagedBase says what helps: unlike for a run, no older checkpoint will do.
func damagedBase(c *checkpoints.Checkpoint, err error) error {
	return fmt.Errorf("train: the adapter %s needs its base unchanged, with SHA-256 %.12s: restore it from a copy, or name one with --base PATH: %w",
		c.Dir(), c.Manifest().Parent.SHA256, err)
}

// above lists a path as it is and, if it is relative, seen from each folder that
// contains dir.
func above(dir, path string) []string {
	places := []string{path}
	abs, err := filepath.Abs(dir)
	if err != nil || filepath.IsAbs(path) {
		return places
	}
	for parent := filepath.Dir(abs); ; parent = filepath.Dir(parent) {
		places = append(places, filepath.Join(parent, path))
		if parent == filepath.Dir(parent) {
			return places
		}
	}
}

// checkBases refuses a start that leaves a lora layer on a base of random values.
func checkBases(s *nn.Store, dir string, missing []string) error {
	for _, name := range s.BaseNames() {
		if slices.Contains(missing, name) {
			b := s.Base(name)
			return fmt.Errorf("%s has no %s of shape [%d, %d] for the frozen base of a lora layer; want a checkpoint of the same network whose layers are dense: fold factored ones by: %s",
				dir, name, b.Out, b.In, shell.Command("model", "merge", dir, "-o", "NEW"))
		}
	}
	return nil
}
