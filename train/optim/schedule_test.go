package optim

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// scheduleTolerance is relative: torch multiplies each rate from the one before, so rounding errors add up over the steps.
const scheduleTolerance = 1e-12

func TestScheduleEqualsTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/schedule.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Kind       string    `json:"kind"`
		Warmup     int       `json:"warmup"`
		Steps      int       `json:"steps"`
		DecaySteps int       `json:"decay_steps"`
		Peak       float64   `json:"peak"`
		MinRatio   float64   `json:"min_ratio"`
		Rates      []float64 `json:"rates"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("testdata/schedule.json holds no case")
	}
	for _, c := range cases {
		t.Run(c.Kind, func(t *testing.T) {
			s := Schedule{c.Kind, c.Warmup, c.Steps, c.DecaySteps, c.Peak, c.MinRatio}
			if err := s.Validate(); err != nil {
				t.Fatal(err)
			}
			if len(c.Rates) != c.Steps {
				t.Fatalf("%d golden rates; want %d", len(c.Rates), c.Steps)
			}
			for step, want := range c.Rates {
				if got := s.At(step); math.Abs(got-want) > scheduleTolerance*want {
					t.Errorf("%+v.At(%d) = %v, want %v", s, step, got, want)
				}
			}
		})
	}
}

func TestScheduleLandmarks(t *testing.T) {
	cosine := Schedule{Kind: "cosine", Warmup: 10, Steps: 110, Peak: 2, MinRatio: 0.1}
	linear := Schedule{Kind: "linear", Warmup: 10, Steps: 110, Peak: 2, MinRatio: 0.1}
	constant := Schedule{Kind: "constant", Warmup: 10, Steps: 110, Peak: 2, MinRatio: 0.1}
	wsd := Schedule{Kind: "wsd", Warmup: 10, Steps: 110, DecaySteps: 20, Peak: 2, MinRatio: 0.1}
	cases := []struct {
		name string
		s    Schedule
		step int
		want float64
	}{
		{"first step is peak over warm-up", cosine, 0, 0.2},
		{"warm-up ends at the peak", cosine, 9, 2},
		{"cosine starts at the peak", cosine, 10, 2},
		{"cosine is half way in the middle", cosine, 60, 1.1},
		{"cosine ends at the minimum", cosine, 110, 0.2},
		{"cosine stays at the minimum", cosine, 1000, 0.2},
		{"linear is half way in the middle", linear, 60, 1.1},
		{"linear ends at the minimum", linear, 110, 0.2},
		{"constant never falls", constant, 1000, 2},
		{"wsd is stable before the decay", wsd, 89, 2},
		{"wsd decays from the peak", wsd, 90, 2},
		{"wsd is half way in the middle of the decay", wsd, 100, 1.1},
		{"wsd ends at the minimum", wsd, 110, 0.2},
		{"no warm-up starts at the peak", Schedule{Kind: "linear", Steps: 4, Peak: 2}, 0, 2},
		{"all warm-up", Schedule{Kind: "cosine", Warmup: 4, Steps: 4, Peak: 2}, 3, 2},
		{"after all warm-up", Schedule{Kind: "cosine", Warmup: 4, Steps: 4, Peak: 2}, 4, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.s.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := c.s.At(c.step); math.Abs(got-c.want) > scheduleTolerance {
				t.Errorf("%+v.At(%d) = %v, want %v", c.s, c.step, got, c.want)
			}
		})
	}
}

func TestScheduleValidate(t *testing.T) {
	good := Schedule{Kind: "wsd", Warmup: 2, Steps: 10, DecaySteps: 8, Peak: 1, MinRatio: 1}
	cases := []struct {
		name   string
		change func(*Schedule)
		want   string // "" is no error
	}{
		{"valid", func(*Schedule) {}, ""},
		{"unknown kind", func(s *Schedule) { s.Kind = "cosin"; s.DecaySteps = 0 }, `kind is "cosin"`},
		{"no steps", func(s *Schedule) { s.Steps = 0 }, "0 steps; want at least 1"},
		{"negative warm-up", func(s *Schedule) { s.Warmup = -1 }, "-1 warm-up steps; want 0 to 10"},
		{"warm-up longer than the run", func(s *Schedule) { s.Warmup = 11 }, "11 warm-up steps; want 0 to 10"},
		{"wsd without decay", func(s *Schedule) { s.DecaySteps = 0 }, "0 decay steps; want 1 to 8"},
		{"wsd decay into the warm-up", func(s *Schedule) { s.DecaySteps = 9 }, "9 decay steps; want 1 to 8"},
		{"decay steps of a cosine", func(s *Schedule) { s.Kind = "cosine" }, "only wsd has them"},
		{"zero rate", func(s *Schedule) { s.Peak = 0 }, "peak learning rate is 0"},
		{"NaN rate", func(s *Schedule) { s.Peak = math.NaN() }, "peak learning rate is NaN"},
		{"infinite rate", func(s *Schedule) { s.Peak = math.Inf(1) }, "peak learning rate is +Inf"},
		{"ratio above 1", func(s *Schedule) { s.MinRatio = 1.5 }, "min ratio is 1.5; want 0 to 1"},
		{"NaN ratio", func(s *Schedule) { s.MinRatio = math.NaN() }, "min ratio is NaN"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := good
			c.change(&s)
			err := s.Validate()
			if c.want == "" {
				if err != nil {
					t.Errorf("%+v.Validate() = %v, want nil", s, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v.Validate() = %v, want an error with %q", s, err, c.want)
			}
		})
	}
}
