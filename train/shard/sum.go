package shard

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/group"
	"sparrow/nn"
)

// Sum collects the gradients of a rank's shards and adds them, over all ranks, as the leaves of a binary tree: shards 2i and 2i+1, then
// pairs of pairs, and so on. A rank of P has N/P shards in a row, a whole subtree. It is the op.Sink of the network, and keeps at
// most log2(N/P)+1 sets of gradients.
type Sum struct {
	store *nn.Store
	group *group.Group
	own   int // shards of this rank

	current *nn.Gradients   // of the shard under way
	stack   []*nn.Gradients // of complete subtrees, the largest first
	levels  []int           // of their sizes' logarithms
	spare   []*nn.Gradients
	done    int             // own shards that are complete
	last    bool            // the last micro-batch of the last own shard is under way
	added   map[string]bool // parameters whose own subtree is complete
	pending []group.Pending
}

// New is for a step of so many shards: a power of two that the number of ranks divides.
func New(store *nn.Store, shards int, g *group.Group) (*Sum, error) {
	if shards%g.Size() != 0 {
		return nil, fmt.Errorf("[train] shards = %d for %d processes; want a power of two that is at least as large", shards, g.Size())
	}
	return &Sum{store: store, group: g, own: shards / g.Size()}, nil
}

// Sets is how many sets of gradients a process keeps that has all shards.
func Sets(shards int) int {
	n := 1
	for ; shards > 1; shards /= 2 {
		n++
	}
	return n
}

// Owns tells whether a shard, from 0, is this rank's.
func (s *Sum) Owns(shard int) bool { return shard/s.own == s.group.Rank() }

// Begin starts a step.
func (s *Sum) Begin() {
	if s.current != nil {
		s.spare = append(s.spare, s.current)
	}
	s.spare = append(s.spare, s.stack...)
	s.stack, s.levels, s.done, s.pending = s.stack[:0], s.levels[:0], 0, s.pending[:0]
	s.added = map[string]bool{}
	s.current = s.take()
}

// take is a set of gradients that is not in use.
func (s *Sum) take() *nn.Gradients {
	if n := len(s.spare); n > 0 {
		g := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return g
	}
	return nn.NewGradients(s.store)
}

// Micro says which micro-batch of the shard comes.
func (s *Sum) Micro(first, last bool) {
	s.current.Add = !first
	s.last = last && s.done == s.own-1
}

// Gradient implements op.Sink.
func (s *Sum) Gradient(name string) (*tensor.Dense, bool) { return s.current.Gradient(name) }

// Ready implements op.Sink: a gradient of the last micro-batch sets off at once, while the backward pass goes on.
func (s *Sum) Ready(name string) error {
	if !s.last {
		return nil
	}
	return s.add(name)
}

// SparseRows implements op.SparseSink.
func (s *Sum) SparseRows(name string, rows []int, values *tensor.Dense) error {
	if s.group.Size() > 1 {
		return errors.New("gradients of single rows do not travel between processes yet: train this task in one process")
	}
	return s.current.SparseRows(name, rows, values)
}

// add completes this rank's subtree of one gradient, and begins to add it to the others'.
func (s *Sum) add(name string) error {
	for i := len(s.stack) - 1; i >= 0; i-- {
		if err := s.current.Merge(name, s.stack[i]); err != nil {
			return err
		}
	}
	s.added[name] = true
	if g := s.current.Get(name); g != nil && s.group.Size() > 1 {
		s.pending = append(s.pending, s.group.Start(g.Float32s()))
	}
	return nil
}

// Next ends a shard. While the two last subtrees are of one size, they become one.
func (s *Sum) Next() error {
	if s.done++; s.done == s.own {
		return nil
	}
	s.stack, s.levels = append(s.stack, s.current), append(s.levels, 0)
	for n := len(s.stack); n > 1 && s.levels[n-1] == s.levels[n-2]; n-- {
		left, right := s.stack[n-2], s.stack[n-1]
		for _, name := range right.Names() {
			if err := left.Merge(name, right); err != nil {
				return err
			}
		}
		s.spare = append(s.spare, right)
		s.stack, s.levels = s.stack[:n-1], s.levels[:n-1]
		s.levels[n-2]++
	}
	s.current = s.take()
	return nil
}

// Total waits for the sum over all ranks, which is the same on each.
func (s *Sum) Total() (*nn.Gradients, error) {
	for _, name := range s.store.Names() {
		if !s.added[name] { // nothing of the last micro-batch depends on it, or it came in rows
			if err := s.add(name); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range s.pending {
		if err := p.Wait(); err != nil {
			return nil, err
		}
	}
	return s.current, nil
}

// Tree adds values of all shards in the same order as their gradients.
func Tree(x []float64) float64 {
	if len(x) == 1 {
		return x[0]
	}
	return Tree(x[:len(x)/2]) + Tree(x[len(x)/2:])
}
