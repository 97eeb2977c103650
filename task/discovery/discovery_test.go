package discovery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/discover"
	"sparrow/internal/rng"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/task"
)

// shares of two classes in three shops.
var shares = [2][3]float64{{0.8, 0.5, 0.1}, {0.2, 0.5, 0.9}}

// shops is a perfect classifier of three shops: a text's first letter is its class, which alone tells of its shop.
type shops struct {
	task.Stepped
	list []task.Listed
}

func (*shops) Reads() task.Form { return task.OneText }

func (*shops) Names() []string { return []string{"east", "north", "west"} }

func (s *shops) Facts() task.Facts { return task.Facts{Files: map[string][]byte{}} }

func (s *shops) Suggest(context.Context, *model.Session) (task.Suggestion, error) {
	return task.Suggestion{Command: "predict"}, nil
}

func (s *shops) List(context.Context, string) ([]task.Listed, error) { return s.list, nil }

func (s *shops) Predict(_ context.Context, _ *model.Session, in []task.Input) ([]task.Prediction, error) {
	out := make([]task.Prediction, len(in))
	for i, x := range in {
		y, sum := int(x.Texts[0][0]-'a'), 0.0
		for d, name := range s.Names() {
			v := shares[y][d] + 0.02*float64(len(x.Texts[0])%5)
			out[i] = append(out[i], metrics.Value{Name: name, X: v})
			sum += v
		}
		for d := range out[i] {
			out[i][d].X /= sum
		}
	}
	return out, nil
}

func newShops() *shops {
	s := &shops{}
	draw := rng.New(1, "task/discovery/test", 0)
	for i := range 900 {
		d, y := i%3, 0
		if draw.Float64() > shares[0][d] {
			y = 1
		}
		text := string(rune('a'+y)) + strings.Repeat("x", draw.Intn(9))
		s.list = append(s.list, task.Listed{Text: text, Label: s.Names()[d], Truth: []string{"apple", "bread"}[y], Held: i%2 == 0})
	}
	return s
}

// files are those of a checkpoint.
type files map[string][]byte

func (f files) File(name string) ([]byte, error) {
	if text, ok := f[name]; ok {
		return text, nil
	}
	return nil, fmt.Errorf("no %s", name)
}

func (files) Dir() string { return "checkpoint" }

func TestDiscover(t *testing.T) {
	fresh, err := Open(newShops(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := fresh.Suggest(t.Context(), nil); s.Command != "discover" {
		t.Errorf("suggests %+v", s)
	}
	last := 0
	c, err := fresh.Discover(t.Context(), nil, Options{Config: discover.Config{Classes: 2}, Truth: "goods", After: func(done, total int) {
		if done <= last || total != 900 {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Accuracy < 0.97 || c.Distance > 0.2 || last != 900 || !(c.Calibrated <= c.Loss && c.Calibrated < c.Chance) {
		t.Errorf("accuracy %.3f, L1 %.3f, %d read, loss %.4f then %.4f, chance %.4f", c.Accuracy, c.Distance, last, c.Loss, c.Calibrated, c.Chance)
	}

	// As a checkpoint: classes in place of domains, sharper with a domain.
	again, err := Open(newShops(), files(c.Files))
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Names()) != 2 || again.Facts().Files[classesFile] == nil {
		t.Errorf("names %q, files %v", again.Names(), again.Facts().Files)
	}
	said, err := again.Predict(t.Context(), nil, []task.Input{{Texts: []string{"ax"}}, {Texts: []string{"bx"}}, {Texts: []string{"ax"}, Domain: "west"}})
	if err != nil {
		t.Fatal(err)
	}
	if said[0][0].Name == said[1][0].Name || said[0][0].X < 0.8 || math.Abs(said[0][0].X+said[0][1].X-1) > 1e-9 {
		t.Errorf("%v", said)
	}
	if of := func(p task.Prediction) float64 { x, _ := metrics.Record{Values: p}.Value(said[0][0].Name); return x }; of(said[2]) >= of(said[0]) {
		t.Errorf("where the class is rare it is as likely: %v and %v", said[2], said[0])
	}
	var about *task.InputError
	if _, err := again.Predict(t.Context(), nil, []task.Input{{Texts: []string{"a"}}, {Texts: []string{"a"}, Domain: "south"}}); !errors.As(err, &about) || about.Index != 1 {
		t.Errorf("an unknown domain: %v", err)
	}
	if _, err := fresh.Predict(t.Context(), nil, []task.Input{{Texts: []string{"a"}, Domain: "west"}}); !errors.As(err, &about) {
		t.Errorf("a domain before classes: %v", err)
	}
}

// TestDamagedClasses: a spoilt classes.json is refused, never believed.
func TestDamagedClasses(t *testing.T) {
	fresh, _ := Open(newShops(), nil)
	c, err := fresh.Discover(t.Context(), nil, Options{Config: discover.Config{Classes: 2}})
	if err != nil {
		t.Fatal(err)
	}
	good := string(c.Files[classesFile])
	for name, text := range map[string]string{
		"empty": "", "cut": good[:len(good)/2], "null": "null", "another key": strings.Replace(good, `"kept"`, `"kep"`, 1),
		"other domains": strings.Replace(good, `"east"`, `"oost"`, 1), "temperature": strings.Replace(good, `"temperature": `, `"temperature": -`, 1),
		"kept": strings.Replace(good, "\"kept\": [\n    0,", "\"kept\": [\n    7,", 1), "more": good + "{}",
		"a head": strings.Replace(good, `"temperature"`, `"head": {"weight": [[1]], "bias": [1], "decay": 1, "loss": 1}, "temperature"`, 1),
	} {
		if text == good {
			t.Fatalf("%s is not spoilt", name)
		}
		if _, err := Open(newShops(), files{classesFile: []byte(text)}); !errors.Is(err, checkpoints.ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if x, err := Open(newShops(), files{}); err != nil || x.model != nil {
		t.Errorf("a checkpoint before classes: %v", err)
	}
}

// words gives each text a vector of its letters.
type words struct {
	*shops
	fail bool
}

func (w words) Embed(_ context.Context, _ *model.Session, texts []string, _ task.Vectors) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		if w.fail && i == 1 {
			return nil, &task.InputError{Index: i, Err: errors.New("spoilt")}
		}
		out[i] = make([]float32, 3)
		for _, r := range text {
			out[i][min(int(r-'a'), 2)]++
		}
	}
	return out, nil
}

func TestFeatures(t *testing.T) {
	list := newShops().list
	for i := range list {
		list[i].Held = i%2 == 0 // of every shop
	}
	names := newShops().Names()
	e := words{newShops(), false}
	x, err := embed(t.Context(), e, nil, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list { // features stay with their texts, whatever order they are read in
		if want := float64(len(list[i].Text) - 1); x.Row(i)[2] != want {
			t.Fatalf("text %d: %v, want %g of x", i, x.Row(i), want)
		}
	}
	head, err := fitHead(t.Context(), x, list, names)
	if err != nil {
		t.Fatal(err)
	}
	c, err := find(t.Context(), list, names, head.Probabilities(x), head, Options{Config: discover.Config{Classes: 2}, Truth: "goods"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Accuracy < 0.95 {
		t.Errorf("accuracy %.3f", c.Accuracy)
	}
	again, err := OpenFeatures(e, files(c.Files))
	if err != nil {
		t.Fatal(err)
	}
	said, err := again.Predict(t.Context(), nil, []task.Input{{Texts: []string{"ax"}}, {Texts: []string{"bx"}, Domain: "west"}})
	if err != nil || said[0][0].Name == said[1][0].Name {
		t.Errorf("%v, %v", said, err)
	}
	if Features(again) == nil || Features(&Task{Inner: newShops()}) != nil {
		t.Error("features are not known as such")
	}
	if _, err := OpenFeatures(e, files{}); !errors.Is(err, task.ErrUsage) {
		t.Errorf("before classes: %v", err)
	}
	if _, err := fitHead(t.Context(), x, newShops().list[:1], names); !errors.Is(err, task.ErrUsage) {
		t.Errorf("one example: %v", err)
	}
	var about *task.InputError
	if _, err := embed(t.Context(), words{newShops(), true}, nil, list, nil); !errors.As(err, &about) {
		t.Errorf("a spoilt text: %v", err)
	}
}
