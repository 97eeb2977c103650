package nntest

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/nn"
)

// dtypes are the types that layers compute in.
var dtypes = []tensor.Dtype{tensor.Float32, tensor.Float64}

// Threads checks that output and gradients have the same bits for one, two, three and seven threads, in either type. It
// sets the number of threads of the whole process and puts it back, so that tests which use it do not run in parallel.
func Threads(t testing.TB, l Layer) {
	t.Helper()
	before := kernel.Threads()
	defer kernel.SetThreads(before)
	for _, dtype := range dtypes {
		m := newMachine(t, l, nn.NewStore(dtype), 1)
		m.draw()
		m.start()
		kernel.SetThreads(1)
		m.run()
		want := m.results()
		for _, threads := range []int{2, 3, 7} {
			kernel.SetThreads(threads)
			m.run()
			if name, i, ok := differ(m.results(), want); ok {
				t.Errorf("%v: %s[%d] has other bits with %d threads than with one", dtype, name, i, threads)
				return
			}
		}
	}
}

// Stored checks that a store keeps all that the layer is: its arrays, filled into the store of a layer that another seed
// would make, give the same bits, in either type. Whatever a layer keeps elsewhere is not saved with a model.
func Stored(t testing.TB, l Layer) {
	t.Helper()
	for _, dtype := range dtypes {
		first := newMachine(t, l, nn.NewStore(dtype), 1)
		first.draw()
		first.start()
		first.run()
		store := nn.NewStore(dtype)
		store.Virtual = true
		newMachine(t, l, store, 2) // declares
		store.Virtual = false
		missing, unused, err := store.Fill(arraysOf(first.store))
		if err != nil {
			t.Fatal(err)
		}
		if len(missing)+len(unused) > 0 {
			t.Fatalf("built twice, the layer has other arrays: only once %q, only then %q", unused, missing)
		}
		second := newMachine(t, l, store, 2)
		second.start()
		second.run()
		if name, i, ok := differ(second.results(), first.results()); ok {
			t.Errorf("%v: %s[%d] has other bits in a layer that has the same arrays", dtype, name, i)
			return
		}
	}
}

// arraysOf are copies of a store's arrays, as a checkpoint has them.
func arraysOf(s *nn.Store) map[string]nn.Array {
	arrays := map[string]nn.Array{}
	data := func(d *tensor.Dense) any {
		if d.Dtype() == tensor.Float64 {
			return slices.Clone(d.Float64s())
		}
		return slices.Clone(d.Float32s())
	}
	for _, name := range s.Names() {
		arrays[name] = nn.Array{Shape: s.Shape(name), Data: data(s.Get(name))}
	}
	for _, name := range s.IndexNames() {
		arrays[name] = nn.Array{Shape: []int{len(s.Index(name))}, Data: slices.Clone(s.Index(name))}
	}
	for _, name := range s.AtomNames() {
		packed := s.Atoms(name).Pack()
		arrays[name] = nn.Array{Shape: []int{len(packed)}, Data: packed}
	}
	for _, name := range s.BaseNames() {
		b := s.Base(name)
		if b.Weight == nil {
			arrays[name+".codes"] = nn.Array{Shape: []int{len(b.Codes.Codes)}, Data: b.Codes.Codes}
			arrays[name+".absmax"] = nn.Array{Shape: []int{len(b.Codes.AbsMax)}, Data: b.Codes.AbsMax}
			continue
		}
		arrays[name] = nn.Array{Shape: []int{b.Out, b.In}, Data: data(b.Weight)}
	}
	return arrays
}

// results are copies of the output and of all gradients, of the last run.
func (m *machine) results() map[string][]float64 {
	all := map[string][]float64{"the output": floats(m.out.Value().(*tensor.Dense))}
	for _, name := range m.grads.Names() {
		all["the gradient of "+name] = floats(m.grads.Get(name))
	}
	return all
}

// differ finds the first number of other bits, by name.
func differ(got, want map[string][]float64) (name string, i int, ok bool) {
	var names []string
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if len(got[name]) != len(want[name]) {
			return name, min(len(got[name]), len(want[name])), true
		}
		for i, x := range want[name] {
			if math.Float64bits(x) != math.Float64bits(got[name][i]) {
				return name, i, true
			}
		}
	}
	return "", 0, false
}
