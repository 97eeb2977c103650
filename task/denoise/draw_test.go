package denoise

import (
	"math"
	"testing"
)

// The paper's exponential schedule at eight times, by the signal's share and the deviation of the noise. Its code
// reads the value after the time it names.
func TestExponentialSchedule(t *testing.T) {
	for _, c := range []struct{ t, signal, sigma float64 }{
		{950, 0.325, 1.44}, {900, 0.548, 0.909}, {800, 0.797, 0.505}, {600, 0.959, 0.206}, {400, 0.992, 0.0895}, {200, 0.9987, 0.0366}, {50, 0.9998, 0.013}, {0, 1, 0.0016},
	} {
		a, err := signal("exp", c.t+1)
		if err != nil || math.Abs(a-c.signal) > 6e-4 {
			t.Errorf("time %v: signal %v, want %v (%v)", c.t, a, c.signal, err)
		}
		if s := math.Sqrt((1 - a) / a); math.Abs(s-c.sigma) > 0.005*max(c.sigma, 0.1) {
			t.Errorf("time %v: deviation %v, want %v", c.t, s, c.sigma)
		}
	}
}

// Every schedule begins with noise alone and falls.
func TestSchedulesFall(t *testing.T) {
	for _, schedule := range Schedules {
		sigma, err := deviationsOf(schedule, 20)
		if err != nil {
			t.Fatal(err)
		}
		if sigma[0] < enough {
			t.Errorf("%s begins with deviation %v, want at least %v", schedule, sigma[0], float64(enough))
		}
		for i := 1; i < len(sigma); i++ {
			if !(sigma[i] < sigma[i-1]) {
				t.Errorf("%s: deviation %d is %v after %v", schedule, i, sigma[i], sigma[i-1])
			}
		}
	}
	if _, err := deviationsOf("x", 3); err == nil {
		t.Error("an unknown schedule is no error")
	}
}
