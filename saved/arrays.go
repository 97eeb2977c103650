package saved

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/data"
	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/task"
)

// State is state.json: all that a run is beside weights and optimizer state.
type State struct {
	Step       int         `json:"step"`        // updates done
	Tokens     int         `json:"tokens"`      // targets seen: tokens, or examples
	MicroBatch int         `json:"micro_batch"` // micro-batches done
	Cursor     data.Cursor `json:"cursor"`      // of the training data
	BestStep   int         `json:"best_step"`   // of the best evaluation so far; 0: none yet
	BestLoss   float64     `json:"best_loss"`   // its validation loss
	Corpus     string      `json:"corpus"`      // SHA-256 of the text trained on

	BestMetric float64 `json:"best_metric,omitempty"` // its [eval] metric, if that is not the loss
	Stale      int     `json:"stale,omitempty"`       // evaluations since the best one

	Settled int `json:"settled,omitempty"` // step after which latent values were given up; 0: there are some, or never were
	Swaps   int `json:"swaps,omitempty"`   // atoms that [train.stf] has put in the place of others

	SwapTenths []int `json:"swap_tenths,omitempty"` // of those, the ones in each tenth of the run's steps; nil: there never were latent values
	SwapSlots  int   `json:"swap_slots,omitempty"`  // how many atoms there are to change

	Averaged bool `json:"averaged,omitempty"` // the model is made of averages; see averages
	Pending  bool `json:"pending,omitempty"`  // an interrupted run left out the evaluation of this step

	StartBest bool `json:"start_best,omitempty"` // the run has diverged before an evaluation was any good: step 0 is its best
}

// Views views parameters as checkpoint arrays, without a copy.
func Views(names []string, prefix string, get func(string) *tensor.Dense) []checkpoints.Array {
	out := make([]checkpoints.Array, 0, len(names))
	for _, n := range names {
		d := get(n)
		out = append(out, checkpoints.Array{Name: prefix + n, Shape: d.Shape(), Data: d.Data()})
	}
	return out
}

// Arrays views all of a model as a checkpoint has it in model.npz: parameters, those stored in few bits as copies
// unless they are so in memory, then fixed integers, of which those of dense_sparse layers are packed copies, then
// the frozen weights of lora layers.
func Arrays(s *nn.Store) []checkpoints.Array {
	var out []checkpoints.Array
	for _, n := range s.Names() {
		if s.Quantization(n).Bits > 0 {
			out = append(out, packedArrays(n, s.Shape(n), s.Codes(n))...)
		} else {
			out = append(out, Views([]string{n}, "", s.Get)...)
		}
	}
	for _, n := range s.IndexNames() {
		out = append(out, checkpoints.Array{Name: n, Shape: []int{len(s.Index(n))}, Data: s.Index(n)})
	}
	for _, n := range s.AtomNames() {
		a := s.Atoms(n)
		out = append(out, checkpoints.Array{Name: n, Shape: []int{a.PackedLen()}, Data: a.Pack()})
	}
	return append(out, BaseArrays(s)...)
}

// Held are all arrays of a store, as nn.Store.Fill takes them for another one: parameters that are in few bits in memory and
// frozen weights of a virtual store are not among them.
func Held(s *nn.Store) map[string]nn.Array {
	arrays := map[string]nn.Array{}
	for _, name := range s.Names() {
		if d := s.Get(name); d != nil {
			arrays[name] = nn.Array{Shape: d.Shape(), Data: d.Data()}
		}
	}
	for _, name := range s.IndexNames() {
		arrays[name] = nn.Array{Shape: []int{len(s.Index(name))}, Data: s.Index(name)}
	}
	for _, a := range BaseArrays(s) {
		arrays[a.Name] = nn.Array{Shape: a.Shape, Data: a.Data}
	}
	for _, name := range s.AtomNames() {
		if a := s.Atoms(name); a != nil {
			arrays[name] = nn.Array{Shape: []int{a.PackedLen()}, Data: a.Pack()}
		}
	}
	return arrays
}

// unpack takes the packed indices of dense_sparse layers, and the values of codes, over from arrays that a checkpoint has
// filled. Arrays that are not there change nothing.
func unpack(s *nn.Store, filled map[string]checkpoints.Array) error {
	for _, n := range s.AtomNames() {
		if a, ok := filled[n]; ok {
			if err := s.Atoms(n).Unpack(a.Data.([]uint8)); err != nil {
				return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, n, err)
			}
		}
	}
	for _, n := range s.Names() {
		q := s.Quantization(n)
		switch {
		case s.InFewBits(n):
			if err := s.Codes(n).Check(); err != nil {
				return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, n, err)
			}
		case q.Bits > 0:
			if err := unpackValues(s.Get(n).Float32s(), n, q, filled); err != nil {
				return err
			}
		}
	}
	for _, n := range s.BaseNames() {
		if b := s.Base(n); b.Stored.Bits > 0 && filled[n+codesSuffix].Data != nil {
			if err := b.Codes.Check(); err != nil {
				return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, n, err)
			}
		}
	}
	return nil
}

// ByName are arrays by their names.
func ByName(as []checkpoints.Array) map[string]checkpoints.Array {
	m := make(map[string]checkpoints.Array, len(as))
	for _, a := range as {
		m[a.Name] = a
	}
	return m
}

// blankArrays are the arrays of model.npz of a declared store that have no values yet, with memory that is to be filled.
func blankArrays(s *nn.Store) []checkpoints.Array {
	var out []checkpoints.Array
	parameter := func(name string, shape []int, q nn.Quantization) {
		if n := tensor.Shape(shape).TotalSize(); q.Bits > 0 {
			out = append(out, packedArrays(name, shape, kernel.NewQuantized(q.Bits, q.Block, n))...)
		} else {
			out = append(out, checkpoints.Array{Name: name, Shape: shape, Data: make([]float32, n)})
		}
	}
	for _, n := range s.Names() {
		if !s.Filled(n) {
			parameter(n, s.Shape(n), s.Quantization(n))
		}
	}
	for _, n := range s.IndexNames() {
		if s.Index(n) != nil {
			continue
		}
		out = append(out, checkpoints.Array{Name: n, Shape: []int{s.IndexLen(n)}, Data: make([]int32, s.IndexLen(n))})
	}
	for _, n := range s.AtomNames() {
		if s.Atoms(n).Index != nil {
			continue
		}
		size := s.Atoms(n).PackedLen()
		out = append(out, checkpoints.Array{Name: n, Shape: []int{size}, Data: make([]uint8, size)})
	}
	for _, n := range s.BaseNames() {
		b := s.Base(n)
		if s.Filled(n) {
			continue
		}
		parameter(n, []int{b.Out, b.In}, b.Stored)
	}
	return out
}

// ReadModel fills a declared store, which must have exactly the arrays of model.npz or,
// of an adapter, of that and its base. It returns the names of the base's arrays.
// A weight that is no finite number is an error: nothing that it says would be one.
func ReadModel(c, base *checkpoints.Checkpoint, s *nn.Store) (inherited map[string]bool, err error) {
	arrays := ByName(blankArrays(s))
	if base != nil {
		arrays, inherited, err = adapterArrays(c, base, s, arrays)
	} else {
		err = c.ReadInto("model.npz", arrays)
	}
	if err != nil {
		return nil, err
	}
	if err := checkFinite(s, arrays); err != nil {
		return nil, fmt.Errorf("%w: %s: %w: its training has diverged, or another program wrote it; use another checkpoint", checkpoints.ErrCheckpoint, c.Dir(), err)
	}
	values := make(map[string]nn.Array, len(arrays))
	for name, a := range arrays {
		values[name] = nn.Array{Shape: a.Shape, Data: a.Data}
	}
	if _, _, err := s.Fill(values); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, c.Dir(), err)
	}
	return inherited, nil
}

// ReadState reads a checkpoint's state.json, whose numbers are checked.
func ReadState(c *checkpoints.Checkpoint) (State, error) {
	var s State
	text, err := c.File("state.json")
	if err == nil {
		err = task.StrictJSON(text, &s)
	}
	if err == nil {
		err = s.check(c.Manifest().Step)
	}
	if err != nil {
		return s, fmt.Errorf("train: %s/state.json: %w", c.Dir(), err)
	}
	return s, nil
}

// check refuses what no run of that many steps writes.
func (s State) check(step int) error {
	if s.Step != step {
		return fmt.Errorf("%w: step = %d; want %d, as in the manifest", checkpoints.ErrCheckpoint, s.Step, step)
	}
	for _, c := range []struct {
		key       string
		got, most int
	}{
		{"tokens", s.Tokens, math.MaxInt}, {"micro_batch", s.MicroBatch, math.MaxInt}, {"stale", s.Stale, math.MaxInt}, {"swaps", s.Swaps, math.MaxInt},
		{"cursor.epoch", s.Cursor.Epoch, math.MaxInt}, {"cursor.position", s.Cursor.Position, math.MaxInt},
		{"best_step", s.BestStep, step}, {"settled", s.Settled, step},
	} {
		if c.got < 0 || c.got > c.most {
			return fmt.Errorf("%w: %s = %d; want 0 to %d", checkpoints.ErrCheckpoint, c.key, c.got, c.most)
		}
	}
	if n := len(s.SwapTenths); n != 0 && n != 10 || slices.ContainsFunc(s.SwapTenths, func(x int) bool { return x < 0 }) || (s.SwapSlots > 0) != (n > 0) {
		return fmt.Errorf("%w: swap_tenths = %d of %d; want ten counts, and how many there are", checkpoints.ErrCheckpoint, s.SwapTenths, s.SwapSlots)
	}
	if s.MicroBatch != 0 && s.MicroBatch < s.Step { // a task that is solved has none
		return fmt.Errorf("%w: micro_batch = %d; want at least one for each of %d steps", checkpoints.ErrCheckpoint, s.MicroBatch, s.Step)
	}
	return nil
}
