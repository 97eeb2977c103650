package constrain

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// state is a set of stacks: all that may be under way after some bytes. It knows the states that bytes lead to as soon as they have
// been asked for, so that a walk over a vocabulary costs a look into a table for each byte.
type state struct {
	stacks []*stack    // each with a byte on top, or nil: the end
	next   [256]*state // nil: not known yet
	mask   mask        // of the tokens that lead on; nil: not known yet
}

// complete tells whether the text may end here.
func (s *state) complete() bool { return slices.Contains(s.stacks, nil) }

// done tells whether it must.
func (s *state) done() bool { return len(s.stacks) == 1 && s.stacks[0] == nil }

// automaton is the states of a grammar that have come up so far.
type automaton struct {
	g      *grammar
	states map[string]*state
	begin  *state
	dead   *state // without stacks: the text is not allowed
	masked int    // bytes of masks
}

func newAutomaton(root *node) *automaton {
	a := &automaton{g: &grammar{stacks: map[stackKey]*stack{}}, states: map[string]*state{}, dead: &state{}}
	for b := range a.dead.next {
		a.dead.next[b] = a.dead
	}
	var open []*stack
	a.g.open(a.g.push(root, nil), &open, map[*stack]bool{})
	a.begin = a.state(open)
	return a
}

// full tells whether the automaton has grown beyond its bounds.
func (a *automaton) full() bool {
	return len(a.states) > maxStates || len(a.g.stacks) > maxStacks || a.masked > maxMaskBytes
}

// state is the one of some stacks, in any order.
func (a *automaton) state(stacks []*stack) *state {
	if len(stacks) == 0 {
		return a.dead
	}
	ids := make([]int, len(stacks))
	for i, s := range stacks {
		ids[i] = s.number()
	}
	slices.Sort(ids)
	key := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		key = binary.LittleEndian.AppendUint32(key, uint32(id))
	}
	s := a.states[string(key)]
	if s == nil {
		s = &state{stacks: stacks}
		a.states[string(key)] = s
	}
	return s
}

// step is the state after a byte. Bytes that the same stacks take lead to the same state, so they are learnt together.
func (a *automaton) step(from *state, b byte) *state {
	if to := from.next[b]; to != nil {
		return to
	}
	to := a.state(a.g.step(from.stacks, b))
	for x := range from.next {
		if from.next[x] == nil && from.alike(b, byte(x)) {
			from.next[x] = to
		}
	}
	return to
}

// near is a state that takes the same next bytes, count at most, and is the same for many: long repetitions that differ in how often
// they may still come are alike until few are left.
func (a *automaton) near(s *state, count int) *state {
	stacks := slices.Clone(s.stacks)
	for i, x := range stacks {
		stacks[i] = a.g.near(x, count)
	}
	if slices.Equal(stacks, s.stacks) {
		return s
	}
	slices.SortFunc(stacks, func(x, y *stack) int { return cmp.Compare(x.number(), y.number()) })
	return a.state(slices.Compact(stacks))
}

// alike tells whether the same stacks take two bytes.
func (s *state) alike(a, b byte) bool {
	for _, x := range s.stacks {
		if x != nil && x.top.bytes.has(a) != x.top.bytes.has(b) {
			return false
		}
	}
	return true
}
