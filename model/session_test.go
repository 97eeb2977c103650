package model

import (
	"errors"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// toy is a body of one table of states, with the leaves of a decoder that has nothing to remember.
type toy struct{ vocab int }

func (toy) Causal() bool { return true }

func (b toy) States(g *Graph, t Text) (x *G.Node, scores func(x *G.Node) *G.Node) {
	if g.Mode == Infer {
		g.Ints("past", g.Shape.Rows)
	}
	words := nn.NewEmbedding(g.Sub("words"), b.vocab, 4, nn.Normal(1))
	places := nn.NewEmbedding(g.Sub("places"), t.Length, 4, nn.Normal(1))
	x = op.Add(g.Tape, words.Forward(g.Ints("tokens", g.Shape.Rows*g.Shape.Length)), places.Forward(g.Positions()))
	return x, words.Logits
}

func toySession(t *testing.T) *Session {
	t.Helper()
	s, err := NewSession(Language{toy{7}, Text{Vocab: 7, Length: 30}}, nn.NewStore(tensor.Float32), Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestProgramsShareMemory: a session keeps a bounded number of programs, they run in turn over one arena, and each repeats its
// loss exactly.
func TestProgramsShareMemory(t *testing.T) {
	s := toySession(t)
	losses := map[int]float64{}
	for round := range 2 {
		for n := 1; n <= maxPrograms+3; n++ {
			p, err := s.Program(Score, Shape{Rows: 1 + n/20, Length: 1 + n%20})
			if err != nil {
				t.Fatal(err)
			}
			tokens, targets := make([]int, p.Shape.Rows*p.Shape.Length), make([]int, p.Shape.Rows*p.Shape.Length)
			for i := range tokens {
				tokens[i], targets[i] = i*i%7, (i+1)*(i+1)%7
			}
			p.Feed(map[string][]int{"tokens": tokens, "targets": targets})
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				losses[n] = p.Loss()
			} else if p.Loss() != losses[n] {
				t.Errorf("%d tokens: loss %g, then %g", n, losses[n], p.Loss())
			}
		}
	}
	if len(s.programs) > maxPrograms || len(s.recent) != len(s.programs) {
		t.Errorf("%d programs kept, %d in order of use; want at most %d", len(s.programs), len(s.recent), maxPrograms)
	}
}

// TestDecodingKeepsPrograms: a session for decoding has programs of its own, and those of the session that it came from stay in
// the order of their use.
func TestDecodingKeepsPrograms(t *testing.T) {
	s := toySession(t)
	var want []programKey
	for _, n := range []int{1, 5, 2, 7, 3, 6} {
		if n == 7 {
			d := s.Decoding(2, 16)
			if _, err := d.Program(Infer, Shape{Rows: 2, Length: 1}); err != nil {
				t.Fatal(err)
			}
			if slots, capacity := d.Slots(); slots != 2 || capacity != 16 || len(d.programs) != 1 {
				t.Errorf("%d sequences of %d tokens and %d programs; want 2, 16 and 1", slots, capacity, len(d.programs))
			}
		}
		if _, err := s.Program(Score, Shape{Rows: 1, Length: n}); err != nil {
			t.Fatal(err)
		}
		want = append(want, programKey{Score, Shape{Rows: 1, Length: n}, ""})
	}
	if _, err := s.Program(Score, Shape{Rows: 1, Length: 2}); err != nil { // so that the order is not that of insertion, nor a rotation of it
		t.Fatal(err)
	}
	want = append(slices.Delete(want, 2, 3), programKey{Score, Shape{Rows: 1, Length: 2}, ""})
	if !slices.Equal(s.recent, want) || len(s.programs) != len(want) {
		t.Errorf("order of use %v (%d programs), want %v", s.recent, len(s.programs), want)
	}
}

// TestSessionRefuses: what a session is asked for and cannot do is an error that says so.
func TestSessionRefuses(t *testing.T) {
	s := toySession(t)
	if _, err := s.Program(Score, Shape{Rows: 1, Length: 3}, "elsewhere"); !errors.Is(err, ErrNoSite) {
		t.Errorf("a site that does not exist: %v", err)
	}
	if _, err := s.Program(Score, Shape{Rows: 1, Length: 3}, AddTo("elsewhere")); !errors.Is(err, ErrNoSite) || !strings.HasSuffix(err.Error(), `"elsewhere"`) {
		t.Errorf("something added to a site that does not exist: %v", err)
	}
	if _, err := s.Program(Train, Shape{Rows: 1, Length: 3}); err == nil || !strings.Contains(err.Error(), "sink") {
		t.Errorf("training without a sink: %v", err)
	}
	if _, err := s.Program(Score, Shape{Rows: 1, Length: 31}); err == nil || !strings.Contains(err.Error(), "context is 30") {
		t.Errorf("too long: %v", err)
	}
}

// TestReserve: programs that run after the largest has taken its memory take none.
func TestReserve(t *testing.T) {
	s := toySession(t)
	large, err := s.Program(Score, Shape{Rows: 4, Length: 30})
	if err != nil {
		t.Fatal(err)
	}
	small, err := s.Program(Score, Shape{Rows: 1, Length: 3})
	if err != nil {
		t.Fatal(err)
	}
	large.Reserve()
	before := s.arena.Bytes()
	if before < large.ActivationBytes() {
		t.Errorf("%d bytes are reserved, want %d", before, large.ActivationBytes())
	}
	for _, p := range []*Program{small, large} {
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
	}
	if s.arena.Bytes() != before {
		t.Errorf("runs take %d bytes, want the %d reserved", s.arena.Bytes(), before)
	}
}
