package saved

import (
	"fmt"
	"slices"

	"sparrow/checkpoints"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/task"
)

// OpenAdapter opens an adapter that was trained on l. Both share the weights that the adapter leaves as they are, where it holds them
// in the same type; what it computes has the bits that it has when it is opened alone.
func (l *Model) OpenAdapter(path string, opts model.Options) (*Model, error) {
	dir, err := Find(path, false)
	if err != nil {
		return nil, err
	}
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	a := &Model{Dir: dir, Files: c, Base: l.Files, Known: l.Known}
	if a.Config, err = l.Known.Config(c); err != nil {
		return nil, err
	}
	if !a.Config.Adapter() {
		return nil, fmt.Errorf("%w: %s is no adapter: serve it as a model of its own", task.ErrUsage, dir)
	}
	if parent := c.Manifest().Parent; parent == nil || parent.SHA256 != l.Files.Manifest().SHA256 {
		return nil, fmt.Errorf("%w: %s is an adapter of another model than %s: its manifest names the one that it was trained on", task.ErrUsage, dir, l.Dir)
	}
	opts.Packed = false // as when it is opened alone
	own := map[string]bool{}
	for _, f := range c.Manifest().Files {
		if f.Name != "model.npz" {
			continue
		}
		for _, e := range f.Entries {
			own[e.Name] = true
		}
	}
	err = a.build(false, opts, 0, func(store *nn.Store) error {
		store.Share(l.Session.Store(), func(name string) bool { return own[name] || own[name+codesSuffix] })
		_, err := ReadModel(c, l.Files, store)
		return err
	})
	return a, err
}

// WithAdapter is l with an adapter from elsewhere, named dir in messages, over the same weights, which both share. opts are those that l
// was opened with.
func (l *Model) WithAdapter(dir string, layers []nn.Adapter, opts model.Options) (*Model, error) {
	base := l.Session.Store()
	a := &Model{Dir: dir, Config: l.Config, Files: l.Files, Known: l.Known}
	a.Config.Model.Linear = slices.Clone(l.Config.Model.Linear)
	arrays, values := map[string]nn.Array{}, 0.0
	for _, x := range layers {
		if !slices.Contains(base.Layers(), x.Layer) {
			return nil, fmt.Errorf("%w: %s has factors for %q, which is no linear layer of %s; its layers are named as %s", task.ErrUsage, dir, x.Layer, l.Dir, base.Layers()[0])
		}
		of := base.Layer(x.Layer)
		switch {
		case of.In != x.In || of.Out != x.Out:
			return nil, fmt.Errorf("%w: %s: factors for %s are of a layer [%d, %d]; that of %s is [%d, %d]", task.ErrUsage, dir, x.Layer, x.Out, x.In, l.Dir, of.Out, of.In)
		case !of.Rule.Dense():
			return nil, fmt.Errorf("%w: %s: %s of %s is %s; an adapter wants a layer that is dense, in any number of bits", task.ErrUsage, dir, x.Layer, l.Dir, of.Rule.Name)
		}
		k, q := nn.LoRA{Rank: x.Rank, Alpha: x.Alpha}, of.Rule.Quantization()
		if q.Bits > 0 {
			k.Keep = q.Name()
		}
		a.Config.Model.Linear = append(a.Config.Model.Linear, nn.Rule{Match: x.Layer, OneOf: nn.As(k), Storage: nn.Storage{QuantBlock: q.Block}})
		arrays[x.Layer+".down.weight"] = nn.Array{Shape: []int{x.Rank, x.In}, Data: x.Down}
		arrays[x.Layer+".up.weight"] = nn.Array{Shape: []int{x.Out, x.Rank}, Data: x.Up}
		values += float64(len(x.Down) + len(x.Up))
	}
	err := a.build(false, opts, values, func(store *nn.Store) error {
		store.Share(base, func(string) bool { return false })
		missing, unused, err := store.Fill(arrays)
		if err == nil && len(missing)+len(unused) > 0 {
			err = fmt.Errorf("%s over %s: %q are missing and %q are of no use", dir, l.Dir, missing, unused)
		}
		return err
	})
	return a, err
}
