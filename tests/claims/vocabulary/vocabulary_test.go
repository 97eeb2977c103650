package main

import (
	"math"
	"os"
	"strings"
	"testing"

	"sparrow/data/tokenizers"
)

func TestClaimsAreRead(t *testing.T) {
	for _, name := range []string{"ofa-words.toml", "ofa-extend.toml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := decode(name, text); err != nil || len(c.Expect) < 6 {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, _ := os.ReadFile("ofa-words.toml")
	for _, c := range []struct{ from, to, want string }{
		{`than = "mean"`, `than = "median"`, `names no arm by "median"`},
		{"at = 470", "at = 471", "at, one of"},
		{`start = "gauss"`, `start = "cauchy"`, "wants a name of its own, a start"},
		{"steps = [0,", "steps = [1,", "steps that rise from 0"},
	} {
		if _, err := decode("x.toml", []byte(strings.Replace(string(text), c.from, c.to, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.to, err, c.want)
		}
	}
}

// By hand: two seeds of three arms, with losses whose differences are known.
func TestExpectationsAreJudged(t *testing.T) {
	cell := func(arm string, seed int, nats ...float64) Result {
		r := Result{Cell: Cell{Arm: arm, Seed: seed}, Rise: 0.01 * float64(seed)}
		for _, x := range nats {
			r.Losses = append(r.Losses, Loss{Nats: x, New: 2 * x, Bits: 3 * x})
		}
		return r
	}
	bound := func(x float64) *float64 { return &x }
	c := &Claim{Steps: []int{0, 10}, Expect: []Expect{
		{Arm: "a", Than: "b", Of: "nats", AtLeast: bound(0.9)},                            // 1 and 1
		{Arm: "a", Than: "b", Of: "new", At: 10, AtMost: bound(0.5)},                      // 1 and 1.01
		{Arm: "a", Than: "c", Less: 0.5, LessOf: "b", Of: "bits", AtLeast: bound(0)},      // 6 - 1.5 and 6 - 1.5
		{Arm: "a", Of: "rise", AtMost: bound(0.03)},                                       // 0.01 and 0.02
		{Arm: "b", Than: "a", Of: "nats", AtLeast: bound(0)},                              // -1 and -1
		{Arm: "a", Than: "c", Less: 1, LessOf: "c", Of: "nats", At: 10, AtMost: bound(0)}, // 0
	}}
	o := &outcome{Cells: []Result{
		cell("a", 1, 2, 1), cell("a", 2, 2.2, 1.1), cell("b", 1, 3, 1.5), cell("b", 2, 3.2, 1.605), cell("c", 1, 4, 1), cell("c", 2, 4.2, 1.1),
	}}
	o.judge(c)
	for i, want := range []struct {
		value   float64
		verdict string
	}{{1, "holds"}, {1.005, "fails"}, {4.5, "holds"}, {0.015, "inconclusive"}, {-1, "fails"}, {0, "holds"}} {
		if f := o.Findings[i]; math.Abs(f.Value-want.value) > 1e-9 || f.Verdict != want.verdict {
			t.Errorf("%s: %g, %s; want %g, %s", f.Expect, f.Value, f.Verdict, want.value, want.verdict)
		}
	}
}

// Texts on end are cut in rows of one length, others begin with a token of their own; bytes are those of the texts.
func TestRows(t *testing.T) {
	by, err := wordLevel([]string{"a", "b", "<s>"})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"a b c", "b b a a"}
	s := &subject{length: 3}
	rows, bytes, err := s.cut(texts, by)
	if err != nil || bytes != 12 || len(rows) != 2 || rows[0][2] != 0 || rows[1][2] != 1 {
		t.Errorf("%v, %d bytes, %v", rows, bytes, err)
	}
	s = &subject{length: 5, begin: " <s>"} // as a word is spelt within a text
	if rows, _, err = s.cut(texts, by); err != nil || len(rows) != 2 || len(rows[0]) != 4 || rows[0][0] != 3 || rows[1][0] != 3 {
		t.Errorf("%v, %v", rows, err)
	}
	s.length = 4
	if _, _, err := s.cut(texts, by); err == nil {
		t.Error("a text is longer than its row")
	}
}

func TestSurprise(t *testing.T) {
	if got, want := surprise([]float64{1, 2, 1000}, 1), 998.0; math.Abs(got-want) > 1e-9 {
		t.Errorf("%g, want %g", got, want)
	}
	if got, want := surprise([]float64{0, math.Log(3)}, 1), -math.Log(0.75); math.Abs(got-want) > 1e-12 {
		t.Errorf("%g, want %g", got, want)
	}
}

// Words that share a place in the order of frequency go by their names, and the parts of the distribution do not overlap.
func TestWords(t *testing.T) {
	if got := frequent([]string{"b a", "b c"}, 2); got[0] != "b" || got[1] != "a" {
		t.Errorf("%v", got)
	}
	by, err := wordLevel([]string{"word"})
	if err != nil || len(tokenizers.Pieces(by)) != 2 {
		t.Error(err)
	}
	counts := [4]int{}
	for i := range 2000 {
		counts[part(strings.Repeat("x", i%50)+string(rune('a'+i/50)))]++
	}
	if counts[ofParent] < 800 || counts[ofFurther] < 450 || counts[ofChoice] < 120 || counts[ofScore] < 120 {
		t.Errorf("parts %v", counts)
	}
}
