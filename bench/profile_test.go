package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// TestParseTop reads a table as pprof prints it.
func TestParseTop(t *testing.T) {
	const text = `File: bench
Type: cpu
Duration: 10.5s, Total samples = 930ms ( 8.86%)
Showing nodes accounting for 930000us, 100% of 930000us total
      flat  flat%   sum%        cum   cum%
  800000us 86.02% 86.02%   800000us 86.02%  sparrow/kernel.microBF16AVX512
  100000us 10.75% 96.77%   100000us 10.75%  sparrow/kernel.bfloat16RowsAVX512
   30000us  3.23%   100%   930000us   100%  sparrow/op.attend[go.shape.float32] (inline)
         0     0%   100%   930000us   100%  main.main
`
	want := []struct {
		name                 string
		seconds              float64
		product, multiplying bool
	}{
		{"sparrow/kernel.microBF16AVX512", 0.8, true, true},
		{"sparrow/kernel.bfloat16RowsAVX512", 0.1, true, false},
		{"sparrow/op.attend[go.shape.float32] (inline)", 0.03, false, false},
	}
	got := parseTop(text)
	if len(got) != len(want) {
		t.Fatalf("got %v, want %d functions that take time", got, len(want))
	}
	for i, w := range want {
		if got[i].name != w.name || math.Abs(got[i].seconds-w.seconds) > 1e-9 || products.MatchString(w.name) != w.product || multiplying.MatchString(w.name) != w.multiplying {
			t.Errorf("got %+v, a product: %v, multiplying: %v; want %+v", got[i], products.MatchString(w.name), multiplying.MatchString(w.name), w)
		}
	}
	if name := shortened(want[2].name); name != "op.attend" {
		t.Errorf("got the short name %q, want op.attend", name)
	}
}

// TestPrecisionOfSteps: the loss of bfloat16 is near that of float32, and not it; and a profile is written.
func TestPrecisionOfSteps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpu")
	full := loadTiny(t)
	low := loadTiny(t)
	low["precision"] = "bfloat16"
	a := answers(t, full, request{"cmd": "step", "steps": 2}, low, request{"cmd": "step", "steps": 2}, request{"cmd": "profile", "steps": 2, "file": file})
	for _, r := range a {
		if r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	if x, y := a[1].Loss, a[3].Loss; x == y || math.Abs(x-y) > 0.01 {
		t.Errorf("losses %v in float32 and %v in bfloat16, want them apart by less than 0.01", x, y)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("the profile: %v, %v", info, err)
	}
}
