package main

import (
	"math"
	"os"
	"slices"
	"testing"

	"sparrow/factor"
	"sparrow/internal/rng"
)

func TestClaimIsRead(t *testing.T) {
	text, err := os.ReadFile("lls-ddfa.toml")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := decode("lls-ddfa.toml", text); err != nil || len(c.Subjects) != 4 || len(c.Expect) != 10 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := decode("x.toml", []byte("seeds = 5\n")); err == nil {
		t.Error("a claim without a grid is read")
	}
}

// blobs are k far clusters.
func blobs(k, n int) *loaded {
	l := &loaded{x: factor.NewMatrix(n, 6)}
	draw := rng.New(1, "claims/shift/test", 0)
	rng.FillNormal(draw, l.x.Data, 0, 0.2)
	for i := range n {
		y := draw.Intn(k)
		l.class = append(l.class, y)
		l.x.Row(i)[y] += 2
	}
	for y := range k {
		l.classes = append(l.classes, string(rune('a'+y)))
	}
	return l
}

func TestDealKeepsShares(t *testing.T) {
	l := blobs(3, 3000)
	used, domain, share, err := deal(t.Context(), l.class, 3, 6, 3000, 3, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.Clone(used)
	if slices.Sort(sorted); len(slices.Compact(sorted)) != len(used) {
		t.Error("an example is dealt twice")
	}
	counts, sizes := factor.NewMatrix(3, 6), make([]float64, 6)
	for i, at := range used {
		counts.Row(l.class[at])[domain[i]]++
		sizes[domain[i]]++
	}
	for y := range 3 {
		for d := range 6 {
			if got := counts.Row(y)[d] / sizes[d]; math.Abs(got-share.Row(y)[d]) > 0.12 {
				t.Errorf("class %d in domain %d: %.3f of it, want %.3f", y, d, got, share.Row(y)[d])
			}
		}
	}
	if _, _, _, err := deal(t.Context(), l.class[:8], 3, 6, 3000, 3, 20, 1); err == nil {
		t.Error("eight examples are dealt to six domains")
	}
}

func TestHeadLossGradient(t *testing.T) {
	p := factor.NewMatrix(5, 3)
	rng.FillUniform(rng.New(2, "claims/shift/test", 0), p.Data, 0.1, 1)
	other := []int{1, 2, 3, 4, 0}
	_, g := headLoss(p, other)
	for i := range p.Data {
		const h = 1e-6
		was := p.Data[i]
		p.Data[i] = was + h
		up, _ := headLoss(p, other)
		p.Data[i] = was - h
		down, _ := headLoss(p, other)
		p.Data[i] = was
		if want := (up - down) / (2 * h); math.Abs(g.Data[i]-want) > 1e-6 {
			t.Errorf("value %d: %g, want %g", i, g.Data[i], want)
		}
	}
}

func TestMeasure(t *testing.T) {
	l := blobs(3, 2400)
	got, err := measure(t.Context(), l.x, l.class, cell{Subject: "blobs", Alpha: 0.5, Domains: 3, Classes: 3, Seed: 1}, &Claim{MaxExamples: 1200, Condition: 20})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range got {
		if m.Method != methods[i] {
			t.Errorf("method %d is %s, want %s", i, m.Method, methods[i])
		}
		least := 0.95
		if m.Method == "random" || m.Method == "neighbours" { // a start of no luck; clusters of equal size
			least = 0.5
		}
		if m.Accuracy < least {
			t.Errorf("%s: accuracy %.3f on far clusters, want %.2f", m.Method, m.Accuracy, least)
		}
	}
	joined, blind, err := blobs(4, 2400).join(t.Context())
	if err != nil || len(joined.classes) != 2 || blind > 0.8 {
		t.Errorf("joined %v, k-means %.3f, %v", joined, blind, err)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		e    Expect
		at   [2]float64
		want string
	}{
		{Expect{AtLeast: 0.5}, [2]float64{0.6, 0.7}, "holds"},
		{Expect{AtLeast: 0.5}, [2]float64{0.3, 0.4}, "fails"},
		{Expect{AtLeast: 0.5}, [2]float64{0.4, 0.6}, "inconclusive"},
		{Expect{AtMost: 0.5}, [2]float64{0.3, 0.4}, "holds"},
		{Expect{AtMost: 0.5}, [2]float64{0.6, 0.7}, "fails"},
	} {
		if got := verdict(c.e, c.at); got != c.want {
			t.Errorf("%+v %v: %s, want %s", c.e, c.at, got, c.want)
		}
	}
}

// TestWhole trains a small network on texts and on images of two kinds, from files to shares.
func TestWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("two runs")
	}
	claim, err := decode("lls-ddfa.toml", mustRead(t))
	if err != nil {
		t.Fatal(err)
	}
	claim.MaxExamples, claim.Texts.Train.Steps, claim.Images.Train.Steps = 600, 100, 60
	c := cell{Subject: "toys", Alpha: 0.5, Domains: 2, Classes: 2, Seed: 1}
	texts := &loaded{classes: []string{"a", "b"}}
	shapes := &loaded{classes: []string{"a", "b"}, colour: true}
	draw := rng.New(3, "claims/shift/test", 0)
	for range 1500 {
		y := draw.Intn(2)
		texts.class, shapes.class = append(texts.class, y), append(shapes.class, y)
		words := [2]string{"goal match team ball", "flour oven sugar bake"}[y]
		texts.texts = append(texts.texts, words+" "+string(rune('a'+draw.Intn(26))))
		pixels := make([]uint8, 3*28*28)
		for p := range pixels {
			pixels[p] = uint8(draw.Intn(60) + 150*y)
		}
		shapes.pixels = append(shapes.pixels, pixels)
	}
	for name, l := range map[string]*loaded{"texts": texts, "images": shapes} {
		got, err := l.whole(t.Context(), c, claim, t.TempDir())
		if err != nil || got.Accuracy < 0.9 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func mustRead(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("lls-ddfa.toml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}
