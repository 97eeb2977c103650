package main

import (
	"encoding/json"
	"testing"

	"sparrow/internal/measure"
)

func TestSpeedup(t *testing.T) {
	value := func(x float64) *float64 { return &x }
	one := result{Name: "step-a", Threads: 1, Ours: 3, Peer: value(4)}
	two := result{Name: "step-a", Threads: 2, Ours: 2, Peer: value(2)}
	got := speedup(one, two)
	if got.Name != "step-a/speedup" || got.Threads != 2 || got.Ours != 1.5 || *got.Peer != 2 || *got.Ratio != 0.75 {
		t.Errorf("got %+v", got)
	}
	two.Peer = nil
	if got := speedup(one, two); got.Ours != 1.5 || got.Peer != nil || got.Ratio != nil {
		t.Errorf("without a peer: got %+v", got)
	}
}

// Without a peer its keys are there, and null.
func TestResultKeepsUnknownKeys(t *testing.T) {
	b := &bench{threads: 1, ours: &side{isa: "avx2"}}
	text, err := json.Marshal(b.result("step-a", "s", 1, measure.Median(nil)))
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"peer", "ratio", "peer_name", "peer_version", "peer_blas", "ours_peak_mb", "peer_peak_mb", "peer_base_mb"} {
		if v, ok := object[key]; !ok || v != nil {
			t.Errorf("%s is %v (present: %t), want null", key, v, ok)
		}
	}
}

func TestShapeNames(t *testing.T) {
	if got := (shape{1, 5, 6, 7}).String(); got != "5x6x7" {
		t.Errorf("got %s", got)
	}
	if got := (shape{64, 128, 128, 64}).String(); got != "64*128x128x64" {
		t.Errorf("got %s", got)
	}
}
