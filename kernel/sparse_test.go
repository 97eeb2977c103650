package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTranspose compares with the definition at sizes around those of tiles and
// vectors, between strides that leave room; what is not of the result stays.
func TestTranspose(t *testing.T) {
	t.Run("float32", testTranspose[float32])
	t.Run("float64", testTranspose[float64])
}

func testTranspose[T Float](t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 1))
		for _, size := range [][2]int{{0, 3}, {3, 0}, {1, 1}, {1, 9}, {7, 3}, {8, 8}, {13, 70}, {64, 64}, {65, 129}, {200, 5}} {
			for _, room := range []int{0, 3} {
				for _, add := range []bool{false, true} {
					rows, cols := size[0], size[1]
					ldSrc, ldDst := cols+room, rows+room
					src, dst := drawn[T](rng, rows*ldSrc), drawn[T](rng, cols*ldDst)
					want := slices.Clone(dst)
					for i := range rows {
						for j := range cols {
							if !add {
								want[j*ldDst+i] = 0
							}
							want[j*ldDst+i] += src[i*ldSrc+j]
						}
					}
					Transpose(dst, ldDst, src, ldSrc, rows, cols, add)
					if !slices.Equal(dst, want) {
						t.Errorf("Transpose of %d x %d, strides %d and %d, add %v: wrong", rows, cols, ldSrc, ldDst, add)
					}
				}
			}
		}
	})
}

func drawn[T Float](rng *rand.Rand, n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(float32(rng.NormFloat64()))
	}
	return x
}

// TestTransposeChecks: a slice that is too short is named before anything is written.
func TestTransposeChecks(t *testing.T) {
	for _, c := range []struct {
		name         string
		dst, src     int
		ldDst, ldSrc int
	}{{"dst", 11, 12, 3, 4}, {"src", 12, 11, 3, 4}, {"dst", 12, 12, 2, 4}, {"src", 12, 12, 3, 3}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("a %s that does not fit: no panic", c.name)
				}
			}()
			Transpose(make([]float32, c.dst), c.ldDst, make([]float32, c.src), c.ldSrc, 3, 4, false)
		})
	}
}

// TestScatterGather: each value meets its own place.
func TestScatterGather(t *testing.T) {
	w, places := []float64{1, 2, 3, 4, 5, 6}, []int32{0, 3, 5}
	ScatterAdd(w, places, []float64{10, 20, 30})
	if want := []float64{11, 2, 3, 24, 5, 36}; !slices.Equal(w, want) {
		t.Errorf("ScatterAdd: got %v, want %v", w, want)
	}
	dst := []float64{1, 1, 1}
	Gather(dst, w, places, true)
	if want := []float64{12, 25, 37}; !slices.Equal(dst, want) {
		t.Errorf("Gather with add: got %v, want %v", dst, want)
	}
	Gather(dst, w, places, false)
	if want := []float64{11, 24, 36}; !slices.Equal(dst, want) {
		t.Errorf("Gather: got %v, want %v", dst, want)
	}
}
