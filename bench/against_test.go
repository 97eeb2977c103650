package main

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake is a worker whose steps take the time that it is told.
type fake struct {
	side    int
	seconds func(side int) float64
	loss    float64
	log     *[]string // what was asked of whom
}

func (f fake) ask(r request) (reply, error) {
	cmd := r["cmd"].(string)
	*f.log = append(*f.log, []string{"ours ", "other "}[f.side]+cmd)
	switch cmd {
	case "step":
		return reply{Seconds: []float64{f.seconds(f.side)}, Loss: f.loss}, nil
	case "refused":
		return reply{}, errors.New("refused")
	}
	return reply{}, nil
}

func (f fake) end() { *f.log = append(*f.log, []string{"ours ", "other "}[f.side]+"end") }

// fight compares fakes whose times are given, on a clock that a step moves on by a minute if slow is set.
func fight(t *testing.T, seconds func(side int) float64, minutes float64) (comparison, []string) {
	t.Helper()
	var log []string
	clock := time.Unix(0, 0)
	c := contest{threads: 1, now: func() time.Time { return clock }}
	for i := range c.start {
		c.start[i] = func() (asker, error) {
			return fake{side: i, log: &log, seconds: func(side int) float64 {
				clock = clock.Add(time.Duration(minutes * float64(time.Minute)))
				return seconds(side)
			}}, nil
		}
	}
	d := duel{name: "step-a", turns: 3, prepare: []request{{"cmd": "bert"}}, load: []request{{"cmd": "load"}}, timed: request{"cmd": "step"}}
	r, err := c.compare([2]duel{d, d})
	if err != nil {
		t.Fatal(err)
	}
	return r, log
}

func TestCompareVersions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(size float64) func() float64 { return func() float64 { return math.Exp(size * r.NormFloat64()) } }
	quiet, loud := noise(0.003), noise(0.1)
	for _, tc := range []struct {
		name         string
		ratio        float64
		noise        func() float64
		minutes      float64 // a step
		rounds       [2]int  // fewest, most
		narrow, slow bool
	}{
		{"equal", 1, quiet, 0, [2]int{9, 9}, true, false},
		{"a little slower", 1.02, quiet, 0, [2]int{9, 9}, true, false},
		{"slower", 1.06, quiet, 0, [2]int{9, 9}, true, true},
		{"faster", 0.8, quiet, 0, [2]int{9, 9}, true, false},
		{"noise takes rounds", 1, noise(0.03), 0, [2]int{10, 59}, true, false},
		{"noise ends at the last round", 1, loud, 0, [2]int{60, 60}, false, false},
		{"noise ends in time", 1, loud, 0.1, [2]int{26, 26}, false, false}, // 6 steps a round
		{"never under nine rounds", 1, quiet, 10, [2]int{9, 9}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _ := fight(t, func(side int) float64 {
				if side == 0 {
					return tc.ratio * tc.noise()
				}
				return tc.noise()
			}, tc.minutes)
			if got.Rounds < tc.rounds[0] || got.Rounds > tc.rounds[1] || got.Narrow != tc.narrow || got.Slower != tc.slow {
				t.Errorf("got %+v, want %d to %d rounds, narrow %t, slower %t", got, tc.rounds[0], tc.rounds[1], tc.narrow, tc.slow)
			}
			if !(got.Low <= got.Ratio && got.Ratio <= got.High) || tc.narrow && math.Abs(got.Ratio/tc.ratio-1) > 0.02 {
				t.Errorf("ratio %g in %g to %g, want %g", got.Ratio, got.Low, got.High, tc.ratio)
			}
		})
	}
}

// Each round has two new processes, and the sides take turns at being first.
func TestRoundsAlternate(t *testing.T) {
	_, log := fight(t, func(int) float64 { return 1 }, 0)
	got := strings.Join(log[:26], ", ")
	want := "ours bert, ours end, other bert, other end, " +
		"ours load, other load, ours step, other step, other step, ours step, ours step, other step, other end, ours end, " +
		"ours load, other load, other step, ours step, ours step, other step, other step, ours step, other end, ours end, ours load, other load"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Versions that do not compute the same are not compared, and what a worker refuses is told.
func TestCompareRefuses(t *testing.T) {
	var log []string
	c := contest{now: time.Now}
	for i := range c.start {
		c.start[i] = func() (asker, error) {
			return fake{side: i, loss: float64(i), seconds: func(int) float64 { return 1 }, log: &log}, nil
		}
	}
	d := duel{name: "step-a", turns: 1, timed: request{"cmd": "step"}}
	if _, err := c.compare([2]duel{d, d}); err == nil || !strings.Contains(err.Error(), "do not compute the same: loss 0 and 1") {
		t.Errorf("got %v", err)
	}
	for name, d := range map[string]duel{
		"prepare": {turns: 1, prepare: []request{{"cmd": "refused"}}}, "load": {turns: 1, load: []request{{"cmd": "refused"}}}, "timed": {turns: 1, timed: request{"cmd": "refused"}},
	} {
		if _, err := c.compare([2]duel{d, d}); err == nil || err.Error() != "refused" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := c.compare([2]duel{{turns: 1, timed: request{"cmd": "bert"}}, d}); err == nil || !strings.Contains(err.Error(), "no time") {
		t.Errorf("an answer without times: got %v", err)
	}
	if err := against(filepath.Join(t.TempDir(), "none"), nil, []int{1}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no binary: got %v", err)
	}
}

// Every contested benchmark is one that a worker runs.
func TestDuels(t *testing.T) {
	for _, name := range contested {
		d := newDuel(name, 1, "dir", "weights")
		if d.turns < 1 || d.timed["cmd"] == nil || len(d.load)+len(d.prepare) == 0 {
			t.Errorf("%s: got %v", name, d)
		}
	}
}

// Quantiles as in tables of Student's t.
func TestStudent(t *testing.T) {
	for degrees, want := range map[int]float64{1: 12.706, 2: 4.303, 8: 2.306, 9: 2.262, 10: 2.228, 20: 2.086, 30: 2.042, 59: 2.001, 1000: 1.962} {
		if got := student975(degrees); math.Abs(got-want) > 0.001 {
			t.Errorf("%d degrees: got %.4f, want %.3f", degrees, got, want)
		}
	}
	// Mean 2 of logarithms, deviation 1 of 4: half of the interval is 3.182 / 2.
	mean, low, high := interval([]float64{2 - math.Sqrt(0.75), 2 - math.Sqrt(0.75), 2 + math.Sqrt(0.75), 2 + math.Sqrt(0.75)})
	for _, x := range [][2]float64{{mean, math.Exp(2)}, {low, math.Exp(2 - 1.591)}, {high, math.Exp(2 + 1.591)}} {
		if math.Abs(x[0]/x[1]-1) > 1e-6 {
			t.Errorf("interval: got %g, want %g", x[0], x[1])
		}
	}
}
