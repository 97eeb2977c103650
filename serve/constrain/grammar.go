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
		for range most - least {
			tail = maybe(seq(n, tail))
		}
	}
	for range least {
		tail = seq(n, tail)
	}
	return tail
}

// stack is what is still to be written, the next part first. Stacks share their ends and are made once each, so that equal
// ones have one address.
type stack struct {
	top  *node
	rest *stack // nil: nothing more
	id   int
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
