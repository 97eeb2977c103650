package interpret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/saved"
	"sparrow/task"
)

// fitted fits a model of testdata on a text.
func fitted(t *testing.T, name string, change func(*Settings)) (*Folder, *saved.Model) {
	t.Helper()
	text := filepath.Join(t.TempDir(), "text.txt")
	lines := ""
	for i := range 800 {
		lines += fmt.Sprintf("w%d ", []int{i % 7, i * i % 31, 3, i * 5 % 11}[i%4])
	}
	if err := os.WriteFile(text, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Interpret.Text, cfg.Interpret.Tokens, cfg.Interpret.Window, cfg.Interpret.Features = []string{text}, 600, 24, 6
	cfg.Interpret.Sparsity, cfg.Interpret.Iterations, cfg.Interpret.SAESteps, cfg.Interpret.Layers = 0.3, 40, 60, []int{1}
	if change != nil {
		change(&cfg.Interpret)
	}
	path := filepath.Join("..", "testdata", name)
	f, err := Fit(context.Background(), path, cfg, filepath.Join(t.TempDir(), "features"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(path, false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f, l
}

// TestFolder: what is read back is what was written; the folder names its model; features are of unit norm and limited.
func TestFolder(t *testing.T) {
	f, l := fitted(t, "writer", func(s *Settings) { s.Baselines = true })
	got, err := Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Check(l); err != nil {
		t.Error(err)
	}
	var methods []string
	for i, s := range got.Sets {
		methods = append(methods, s.Method)
		for k := range s.Z.Rows {
			norm, entries := 0.0, 0
			for c, x := range s.Z.Row(k) {
				if x != 0 {
					entries++
				}
				norm += x * x
				if math.Abs(x-f.Sets[i].Z.Row(k)[c]) > 1e-6 {
					t.Fatalf("%s: feature %d is another one when it is read", s.name(), k)
				}
			}
			if math.Abs(norm-1) > 1e-5 && norm != 0 {
				t.Errorf("%s: feature %d has squared norm %g", s.name(), k, norm)
			}
			if s.Method == SNMF && entries > 8 { // 30% of 24
				t.Errorf("feature %d has %d neurons", k, entries)
			}
		}
		if s.Method == SNMF && (s.Error <= 0 || s.Error >= 1) {
			t.Errorf("%s: error %g", s.name(), s.Error)
		}
		for k, x := range s.Features {
			if x.Usage > 0 && (len(x.Contexts) == 0 || len(x.Neurons) == 0 || len(x.Promoted) != keptTokens) {
				t.Errorf("%s: feature %d is not described: %+v", s.name(), k, x)
			}
		}
	}
	if !slices.Equal(methods, Methods()) {
		t.Errorf("methods %v, want %v", methods, Methods())
	}
	again, _ := fitted(t, "writer", func(s *Settings) { s.Baselines = true })
	for i, s := range again.Sets {
		if !slices.Equal(s.Z.Data, f.Sets[i].Z.Data) {
			t.Errorf("%s: another fit gives other features", s.name())
		}
	}
}

// TestPromoted: the scores of a direction are those of the network whose last block puts out that direction alone.
func TestPromoted(t *testing.T) {
	f, l := fitted(t, "writer", func(s *Settings) { s.Site = Residual })
	s := f.Sets[0]
	store := l.Session.Store()
	head, norm := store.DenseWeight("lm_head"), store.Get("model.norm.weight").Float32s()
	d := s.Z.Row(2)
	mean := 0.0
	for _, x := range d {
		mean += x * x / float64(len(d))
	}
	scores := make([]float64, len(head)/len(d))
	average := 0.0
	for v := range scores {
		for j, x := range d {
			scores[v] += head[v*len(d)+j] * x / math.Sqrt(mean) * float64(norm[j])
		}
		average += scores[v] / float64(len(scores))
	}
	best := slices.Max(scores) - average
	if got := s.Features[2].Promoted[0]; math.Abs(got.Value-best) > 2e-3 || math.Abs(scores[got.ID]-average-best) > 2e-3 {
		t.Errorf("promoted %+v, want a score of %g", got, best)
	}
}

// TestSteer: the divergence is met within 5% in at most 10 looks, for both signs and every site; it is that of the whole network;
// and the strength that is found gives the same addition again.
func TestSteer(t *testing.T) {
	for _, site := range []string{Hidden, Out, Residual} {
		f, l := fitted(t, "writer", func(s *Settings) { s.Site = site })
		for _, kl := range []float64{0.05, 0.25, -0.1} {
			got, err := f.Steer(context.Background(), l, Choice{Layer: 1, Feature: 1}, kl)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got.KL-math.Abs(kl)) > 0.05*math.Abs(kl) || got.Looks > mostLooks || got.Alpha*kl <= 0 {
				t.Errorf("%s: %v of %g", site, got, kl)
			}
			if whole := wholeDivergence(t, l, got.Add, f.calibrating()); math.Abs(whole-got.KL) > 1e-3*got.KL+1e-6 {
				t.Errorf("%s: KL %g, of the whole network %g", site, got.KL, whole)
			}
			again, err := f.Fixed(l, got.Choice, got.Alpha)
			if err != nil || !slices.Equal(again.Add.Vector, got.Add.Vector) || again.Add.Site != got.Add.Site {
				t.Errorf("%s: the strength gives another addition: %v", site, err)
			}
		}
		if _, err := f.Steer(context.Background(), l, Choice{Layer: 1, Feature: 1}, 19); err != nil && !errors.Is(err, errUnmet) {
			t.Errorf("a divergence that may be out of reach: %v", err)
		}
	}
}

// wholeDivergence is the mean divergence by the network as it is, without states that are kept.
func wholeDivergence(t *testing.T, l *saved.Model, a decode.Addition, contexts [][]int) float64 {
	t.Helper()
	logp := func(ids []int, add bool) []float64 {
		p, err := l.Session.Program(model.Score, model.Shape{Rows: 1, Length: len(ids)}, model.AddTo(a.Site), "logits")
		if err != nil {
			t.Fatal(err)
		}
		feed(p, [][]int{ids})
		leaf := p.Floats(model.AddedLeaf(a.Site))
		for i := range leaf.Count {
			for j := range leaf.Width {
				x := 0.0
				if add {
					x = float64(a.Vector[j])
				}
				leaf.Put(i, j, x)
			}
		}
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		logits := p.Site("logits")
		out := make([]float64, logits.Width)
		if err := logProbabilities(out, logits.Row(make([]float32, logits.Width), len(ids)-1)); err != nil {
			t.Fatal(err)
		}
		return out
	}
	sum := 0.0
	for _, ids := range contexts {
		base, other := logp(ids, false), logp(ids, true)
		for j := range base {
			sum += math.Exp(base[j]) * (base[j] - other[j]) / float64(len(contexts))
		}
	}
	return sum
}

// TestEncode: the coefficients and what is left make up what the model holds.
func TestEncode(t *testing.T) {
	f, l := fitted(t, "writer", nil)
	s := f.Sets[0]
	text := "w3 w20 w4"
	got, err := f.Encode(context.Background(), l, s, text, s.Z.Rows)
	if err != nil {
		t.Fatal(err)
	}
	w, _, err := windowOf(l, text)
	if err != nil {
		t.Fatal(err)
	}
	a, err := activations(l, place{1, Hidden}, w)
	if err != nil {
		t.Fatal(err)
	}
	joined := ""
	for i, e := range got {
		joined += e.Token
		left, whole := 0.0, 0.0
		for j, x := range a.Row(i) {
			whole += x * x
			for _, c := range e.Features {
				x -= c.Coefficient * s.Z.Row(c.Feature)[j]
			}
			left += x * x
		}
		if math.Abs(left/whole-e.Error) > 2e-3 {
			t.Errorf("token %d: %g is left, reported %g", i, left/whole, e.Error)
		}
	}
	if strings.ReplaceAll(joined, " ", "") != strings.ReplaceAll(text, " ", "") {
		t.Errorf("tokens %q, want %q", joined, text)
	}
}

// TestEncoder: an encoder is read too, without what writes text.
func TestEncoder(t *testing.T) {
	f, l := fitted(t, "encoder", func(s *Settings) { s.Layers, s.Features = []int{0}, 4 })
	if len(f.Sets) != 1 || len(f.Sets[0].Features) != 4 || f.Sets[0].Features[0].Promoted != nil {
		t.Errorf("%+v", f.Sets)
	}
	_, err := f.Steer(context.Background(), l, Choice{}, 0.25)
	if !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "writes no text") {
		t.Errorf("steering an encoder: %v", err)
	}
	if _, err := f.Encode(context.Background(), l, f.Sets[0], "w1 w2", 2); err != nil {
		t.Error(err)
	}
}

// TestScore: every set has a score, and a feature that promotes tokens by far raises them.
func TestScore(t *testing.T) {
	f, l := fitted(t, "writer", func(s *Settings) { s.Baselines = true })
	scores, err := f.Score(context.Background(), l, ScoreOptions{Features: 2, KL: 0.2, Seed: 1, Texts: 1}, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(scores) != len(Methods()) {
		t.Errorf("%d scores", len(scores))
	}
	for _, x := range scores {
		if len(x.Features)+x.Unmet > 2 || x.Mean-x.Mean != 0 || len(x.Texts) != len(fluentKLs) {
			t.Errorf("%+v", x)
		}
	}
	var b bytes.Buffer
	if err := WriteScores(&b, scores, 0.2); err != nil || !strings.Contains(b.String(), "perplexity") {
		t.Errorf("%v: %s", err, b.String())
	}
	d := &direction{site: "model.layers.1.output", vector: make([]float64, 16), norm: 1}
	token := f.Sets[0].Features[0].Promoted[0]
	copy(d.vector, headRow(l, token.ID))
	p, err := newProbes(context.Background(), l, 1, d.site, f.Probes[calibrating:])
	if err != nil {
		t.Fatal(err)
	}
	one, err := d.score(context.Background(), p, Steering{Alpha: 3}, []Token{token})
	if err != nil || one.Score < 0.5 {
		t.Errorf("the direction of a token's own row: %+v, %v", one, err)
	}
}

func headRow(l *saved.Model, id int) []float64 {
	head := l.Session.Store().DenseWeight("lm_head")
	row := slices.Clone(head[16*id : 16*id+16])
	unit(row)
	return row
}

// TestHierarchyAndPage: the tree has every feature that has a parent, and the page has every feature, from nowhere else.
func TestHierarchyAndPage(t *testing.T) {
	f, _ := fitted(t, "writer", nil)
	if err := f.Hierarchy(context.Background(), []int{3, 2}); err != nil {
		t.Fatal(err)
	}
	if err := f.Hierarchy(context.Background(), []int{6}); !errors.Is(err, task.ErrUsage) {
		t.Errorf("a level as wide as the features: %v", err)
	}
	got, err := Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if tree := got.Sets[0].Tree; len(tree) != 2 || tree[0].Features != 3 || len(tree[0].Edges) < 3 {
		t.Fatalf("%+v", tree)
	}
	var b bytes.Buffer
	if err := got.WritePage(&b, nil); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if n := strings.Count(page, "<section"); n != 6 {
		t.Errorf("%d features on the page", n)
	}
	for _, foreign := range []string{"http:", "https:", "<script", "ZgotmplZ"} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
	c, err := Compare(got, f, 0.7)
	if err != nil || len(c) != 1 || c[0].Mean < 0.999 || c[0].Above != 1 {
		t.Errorf("compared with itself: %+v, %v", c, err)
	}
}

func TestRefuses(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Interpret.Text, cfg.Interpret.Layers = []string{"no such file"}, []int{1}
	path := filepath.Join("..", "testdata", "writer")
	for name, change := range map[string]func(*Settings){
		"layer 7":        func(s *Settings) { s.Layers = []int{7} },
		"no file":        func(*Settings) {},
		"brings no text": func(s *Settings) { s.Text = nil },
	} {
		c := cfg
		change(&c.Interpret)
		if _, err := Fit(context.Background(), path, c, filepath.Join(t.TempDir(), "f"), io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Load("", []string{"interpret.site=\"attention\"", "interpret.sparsity=0"}); err == nil || !strings.Contains(err.Error(), "site") || !strings.Contains(err.Error(), "sparsity") {
		t.Errorf("bad keys: %v", err)
	}
	if _, err := Open(path); !errors.Is(err, task.ErrUsage) {
		t.Errorf("a model as features: %v", err)
	}
	for text, want := range map[string]Choice{"a:b/c:3:7": {3, "", 7}, "f:0:pca/2": {0, "pca", 2}} {
		if folder, c, err := ParseSteer(text); err != nil || c != want || !strings.HasPrefix(text, folder) {
			t.Errorf("%s: %v, %v", text, c, err)
		}
	}
	for _, text := range []string{"", "f", "f:1", ":1:2", "f:x:2", "f:1:pca/"} {
		if _, _, err := ParseSteer(text); !errors.Is(err, task.ErrUsage) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
