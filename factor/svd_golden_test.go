package factor

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
)

// Singular values against LAPACK's; see testdata/README.md.
func TestSVDGolden(t *testing.T) {
	f, err := npz.Open("testdata/svd.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := 0
	for _, key := range f.Keys() {
		name, isValues := strings.CutSuffix(key, ".s.npy")
		if !isValues {
			continue
		}
		cases++
		t.Run(name, func(t *testing.T) {
			var want []float64
			if err := f.Read(key, &want); err != nil {
				t.Fatal(err)
			}
			a := &Matrix{}
			if _, err := fmt.Sscanf(name, "sine_%d_%d", &a.Rows, &a.Cols); err == nil {
				for i := range a.Rows {
					for j := range a.Cols {
						x, y := float64(i), float64(j)
						a.Data = append(a.Data, math.Sin(0.37*x*x+1.7*x*y+0.11*y))
					}
				}
			} else {
				header := f.Header(name + ".a.npy")
				a.Rows, a.Cols = header.Descr.Shape[0], header.Descr.Shape[1]
				if err := f.Read(name+".a.npy", &a.Data); err != nil {
					t.Fatal(err)
				}
			}
			d, err := ThinSVD(context.Background(), a, nil)
			if err != nil {
				t.Fatal(err)
			}
			checkSVD(t, a, d)
			for i, s := range d.S {
				if !(math.Abs(s-want[i]) <= svdTolerance*want[0]) {
					t.Errorf("value %d is %.17g, LAPACK has %.17g", i, s, want[i])
				}
			}
			rank := (len(want) + 2) / 3
			low, err := TruncatedSVD(context.Background(), a, rank, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range low.S {
				if !(math.Abs(s-want[i]) <= 1e-11*want[0]) { // 4e-12 by truncatedRange
					t.Errorf("truncated: value %d is %.17g, LAPACK has %.17g", i, s, want[i])
				}
			}
		})
	}
	if cases != 14 {
		t.Errorf("%d cases in the file, want 14", cases)
	}
}
