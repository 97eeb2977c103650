package constrain

// set is a set of bytes.
type set [4]uint64

func (s *set) add(low, high byte) {
	for b := int(low); b <= int(high); b++ {
		s[b>>6] |= 1 << (b & 63)
	}
}

func (s *set) has(b byte) bool { return s[b>>6]>>(b&63)&1 == 1 }

// node is a part of a grammar. It is not changed once the grammar is made, but for references that are filled.
type node struct {
	kind  kind
	bytes set     // of one
	parts []*node // of a sequence or a choice; of a reference the one rule

	// Of what is left of a repetition: the left last times of it, of which lefts has the fewer ones.
	left  int
	lefts []*node
}

type kind int

const (
	one      kind = iota // a byte of a set
	sequence             // parts one after the other; of none nothing
	choice               // one of the parts
)

func literal(text string) *node {
	n := &node{kind: sequence}
	for _, b := range []byte(text) {
		n.parts = append(n.parts, span(b, b))
	}
	return n
}

func span(low, high byte) *node {
	n := &node{kind: one}
	n.bytes.add(low, high)
	return n
}

// oneOf is a byte of a text.
func oneOf(text string) *node {
	n := &node{kind: one}
	for _, b := range []byte(text) {
		n.bytes.add(b, b)
	}
	return n
}

func seq(parts ...*node) *node    { return &node{kind: sequence, parts: parts} }
func either(parts ...*node) *node { return &node{kind: choice, parts: parts} }
func maybe(n *node) *node         { return either(seq(), n) }

// star is n any number of times.
func star(n *node) *node {
	s := &node{kind: choice}
	s.parts = []*node{seq(), seq(n, s)}
	return s
}

// times is n from least to most times; most below 0: no bound.
func times(n *node, least, most int) *node {
	var tail *node
	if most < 0 {
		tail = star(n)
	} else {
		tail = seq()
		tail = repeated(tail, n, most-least, func(tail *node) *node { return maybe(seq(n, tail)) })
	}
	return repeated(tail, n, least, func(tail *node) *node { return seq(n, tail) })
}

// repeated puts n before a tail so many times, by a function that does so once. Where n is never empty it notes what is left each time.
func repeated(tail, n *node, count int, once func(*node) *node) *node {
	known := !n.empty(map[*node]bool{})
	lefts := []*node{tail}
	for i := range count {
		tail = once(tail)
		if lefts = append(lefts, tail); known {
			tail.left = i + 1
		}
	}
	if known {
		for _, x := range lefts[1:] {
			x.lefts = lefts
		}
	}
	return tail
}

// empty tells whether nothing may be what a part of a grammar is. What refers to a rule that is still to be made may be.
func (n *node) empty(open map[*node]bool) bool {
	if open[n] {
		return false // a way round a loop adds no way to nothing
	}
	open[n] = true
	defer delete(open, n)
	switch n.kind {
	case one:
		return false
	case sequence:
		for _, part := range n.parts {
			if !part.empty(open) {
				return false
			}
		}
		return true
	}
	for _, part := range n.parts {
		if part.empty(open) {
			return true
		}
	}
	return n.parts == nil
}

// within is a part of a grammar that takes the same next bytes, count at most: of a long repetition its last count times.
func (n *node) within(count int) *node {
	if n.left > count {
		return n.lefts[count]
	}
	return n
}

// stack is what is still to be written, the next part first. Stacks share their ends and are made once each, so that equal
// ones have one address.
type stack struct {
	top  *node
	rest *stack // nil: nothing more
	id   int
}

// number is the stack's own; 0: the end.
func (s *stack) number() int {
	if s == nil {
		return 0
	}
	return s.id
}

// grammar is a root and the stacks that have come up so far.
type grammar struct {
	stacks map[stackKey]*stack
}

type stackKey struct {
	top  *node
	rest *stack
}

func (g *grammar) push(top *node, rest *stack) *stack {
	key := stackKey{top, rest}
	s := g.stacks[key]
	if s == nil {
		s = &stack{top, rest, len(g.stacks) + 1}
		g.stacks[key] = s
	}
	return s
}

// near is a stack that takes the same next bytes, count at most, and has no longer repetitions than that takes.
func (g *grammar) near(s *stack, count int) *stack {
	if s == nil {
		return nil
	}
	top, rest := s.top.within(count), g.near(s.rest, count)
	if top == s.top && rest == s.rest {
		return s
	}
	return g.push(top, rest)
}

// open adds to out the stacks that s becomes when parts are opened until a byte is on top; nil stands for the end.
func (g *grammar) open(s *stack, out *[]*stack, seen map[*stack]bool) {
	if s == nil || s.top.kind == one {
		for _, x := range *out {
			if x == s {
				return
			}
		}
		*out = append(*out, s)
		return
	}
	if seen[s] {
		return
	}
	seen[s] = true
	switch s.top.kind {
	case sequence:
		rest := s.rest
		for i := len(s.top.parts) - 1; i >= 0; i-- {
			rest = g.push(s.top.parts[i], rest)
		}
		g.open(rest, out, seen)
	case choice:
		for _, part := range s.top.parts {
			g.open(g.push(part, s.rest), out, seen)
		}
	}
}

// step is the stacks after a byte.
func (g *grammar) step(from []*stack, b byte) []*stack {
	var out []*stack
	seen := map[*stack]bool{}
	for _, s := range from {
		if s != nil && s.top.bytes.has(b) {
			g.open(s.rest, &out, seen)
		}
	}
	return out
}
