package optim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/group"
	"sparrow/nn"
	"sparrow/recipe"
)

// Shared is an optimizer whose state is dealt to the ranks of a group, parameter by parameter (Rajbhandari et al., "ZeRO", SC 2020,
// stage 1): each rank updates its own and gives the others the new values, so that the weights have the bytes of one process.
type Shared struct {
	Optimizer // of this rank's parameters

	group   *group.Group
	store   *nn.Store
	names   []string       // all that train
	owner   map[string]int // rank, by parameter
	make    func(own func(string) bool) Optimizer
	whole   Optimizer // all state, while a checkpoint is written or read; nil at other times
	pending []group.Pending
}

// NewShared deals the parameters that own accepts, the largest first, each to the rank that has the fewest values so far.
func NewShared(cfg recipe.Train, store *nn.Store, own func(name string) bool, g *group.Group) *Shared {
	s := &Shared{group: g, store: store, owner: map[string]int{}, make: func(own func(string) bool) Optimizer { return NewOf(cfg, store, own) }}
	for _, name := range store.Names() {
		if !cfg.Frozen(name) && own(name) {
			s.names = append(s.names, name)
		}
	}
	bySize := slices.Clone(s.names)
	slices.SortStableFunc(bySize, func(a, b string) int { return store.Shape(b).TotalSize() - store.Shape(a).TotalSize() })
	held := make([]int, g.Size())
	for _, name := range bySize {
		rank := slices.Index(held, slices.Min(held))
		s.owner[name] = rank
		held[rank] += store.Shape(name).TotalSize()
	}
	s.Optimizer = s.make(func(name string) bool { rank, ok := s.owner[name]; return ok && rank == g.Rank() })
	return s
}

// Names implements Optimizer.
func (s *Shared) Names() []string { return s.names }

// Update implements Optimizer. The new values of others arrive until [Shared.Wait] has returned.
func (s *Shared) Update(name string, grad *tensor.Dense, from, step int, rate, scale float64) {
	root := s.owner[name]
	if root == s.group.Rank() {
		s.Optimizer.Update(name, grad, from, step, rate, scale)
	}
	n := grad.Shape().TotalSize()
	s.pending = append(s.pending, s.group.Spread(s.store.Get(name).Float32s()[from:from+n], root))
}

// Wait ends a step: after it all ranks have all values. nil is an optimizer that is not shared.
func (s *Shared) Wait() error {
	if s == nil {
		return nil
	}
	defer func() { s.pending = s.pending[:0] }()
	for _, p := range s.pending {
		if err := p.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// Gather brings all state to rank 0, whose Arrays then are those of one process. All ranks call it.
func (s *Shared) Gather() error {
	if s == nil {
		return nil
	}
	if s.group.Rank() == 0 {
		s.whole = s.all()
	}
	own := byParameter(s.Optimizer)
	var whole map[string][]checkpoints.Array
	if s.whole != nil {
		whole = byParameter(s.whole)
	}
	for _, name := range s.names {
		var message bytes.Buffer
		for _, a := range own[name] {
			if err := binary.Write(&message, binary.LittleEndian, a.Data); err != nil {
				return err
			}
		}
		all, err := s.group.Share(message.Bytes())
		if err != nil {
			return err
		}
		in := bytes.NewReader(all[s.owner[name]])
		for _, a := range whole[name] {
			if err := binary.Read(in, binary.LittleEndian, a.Data); err != nil {
				return fmt.Errorf("state of %s from rank %d: %w", name, s.owner[name], err)
			}
		}
		if left, _ := io.Copy(io.Discard, in); s.whole != nil && left > 0 {
			return fmt.Errorf("state of %s from rank %d: %d bytes too many", name, s.owner[name], left)
		}
	}
	return nil
}

// Scatter keeps of all state, which Arrays gave out to be filled, this rank's own.
func (s *Shared) Scatter() {
	if s == nil || s.whole == nil {
		return
	}
	own, whole := byParameter(s.Optimizer), byParameter(s.whole)
	for name, arrays := range own {
		for i, a := range arrays {
			switch to := a.Data.(type) {
			case []float32:
				copy(to, whole[name][i].Data.([]float32))
			case []float64:
				copy(to, whole[name][i].Data.([]float64))
			case []uint8:
				copy(to, whole[name][i].Data.([]uint8))
			}
		}
	}
	s.whole = nil
}

// Release forgets all state but this rank's.
func (s *Shared) Release() {
	if s != nil {
		s.whole = nil
	}
}

// Arrays are those of all state: gathered, or to be filled and then scattered.
func (s *Shared) Arrays() []checkpoints.Array {
	if s.whole == nil {
		s.whole = s.all()
	}
	return s.whole.Arrays()
}

// all is an optimizer with all state, of zeros.
func (s *Shared) all() Optimizer {
	return s.make(func(name string) bool { _, ok := s.owner[name]; return ok })
}

// byParameter are an optimizer's arrays, whose names are those of parameters after a word and a point.
func byParameter(o Optimizer) map[string][]checkpoints.Array {
	all := map[string][]checkpoints.Array{}
	for _, a := range o.Arrays() {
		_, name, _ := strings.Cut(a.Name, ".")
		all[name] = append(all[name], a)
	}
	return all
}
