package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func codes(rng *rand.Rand, n, entries int) []uint8 {
	index := make([]uint8, n)
	for i := range index {
		index[i] = uint8(rng.IntN(entries))
	}
	return index
}

// TestLookup compares both directions with the definition, at every size of table and of tails; what lies past a table's
// entries is never used.
func TestLookup(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testLookup[float32](t, 3e-7) })
	t.Run("float64", func(t *testing.T) { testLookup[float64](t, 1e-15) })
}

func testLookup[T Float](t *testing.T, tol float64) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 1))
		for _, entries := range []int{1, 2, 31, 32, 33, 64, 65, 100, 128, 129, 200, 256} {
			for _, room := range []int{entries, LookupStride(entries)} {
				for _, n := range []int{0, 1, 7, 8, 9, 15, 16, 17, 33, 100} {
					table := drawn[T](rng, room)
					for i := entries; i < room; i++ {
						table[i] = T(math.NaN())
					}
					table = table[:entries:room]
					values, index, y := drawn[T](rng, n), codes(rng, n, entries), drawn[T](rng, n)
					want := make([]float64, n)
					for i := range want {
						want[i] = float64(y[i]) + float64(values[i])*float64(table[index[i]])
					}
					LookupAxpy(y, values, index, table)
					for i := range want {
						if diff := math.Abs(float64(y[i]) - want[i]); !(diff <= tol*8) {
							t.Fatalf("LookupAxpy, %d entries in %d, n %d: y[%d] = %g, want %g", entries, room, n, i, y[i], want[i])
						}
					}
					sums := make([]float64, entries)
					for i := range sums {
						sums[i] = float64(table[i])
					}
					for i, k := range index {
						sums[k] += float64(values[i]) * float64(y[i])
					}
					LookupAdd(table, values, index, y)
					for k := range sums {
						if diff := math.Abs(float64(table[k]) - sums[k]); !(diff <= tol*100) {
							t.Fatalf("LookupAdd, %d entries, n %d: table[%d] = %g, want %g", entries, n, k, table[k], sums[k])
						}
					}
				}
			}
		}
	})
}

// TestLookupRefuses: operands that are too short panic before anything runs.
func TestLookupRefuses(t *testing.T) {
	for name, f := range map[string]func(){
		"values": func() { LookupAxpy(make([]float32, 9), make([]float32, 8), make([]uint8, 9), make([]float32, 2)) },
		"index":  func() { LookupAxpy(make([]float32, 9), make([]float32, 9), make([]uint8, 8), make([]float32, 2)) },
		"add":    func() { LookupAdd(make([]float32, 2), make([]float32, 9), make([]uint8, 8), make([]float32, 9)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func BenchmarkLookup(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 1))
	const n = 768
	for _, entries := range []int{32, 64, 128, 256} {
		values, y, table := drawn[float32](rng, n), drawn[float32](rng, n), drawn[float32](rng, entries)
		index := codes(rng, n, entries)
		each := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/%d", name, entries), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/value")
			})
		}
		for l := isaGo; l <= bestISA(); l++ {
			each("axpy/"+l.String(), func() { old := isa; isa = l; LookupAxpy(y, values, index, table); isa = old })
		}
		each("add", func() { LookupAdd(table, values, index, y) })
	}
}

// TestCodes compares sums of atoms and their gradients with the definition, at widths around those of vectors and between
// strides that leave room.
func TestCodes(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testCodes[float32](t, 2e-6) })
	t.Run("float64", func(t *testing.T) { testCodes[float64](t, 1e-14) })
}

func testCodes[T Float](t *testing.T, tol float64) {
	near := func(what string, got []T, want []float64) {
		t.Helper()
		for i := range want {
			if diff := math.Abs(float64(got[i]) - want[i]); !(diff <= tol*20) {
				t.Fatalf("%s[%d] = %g, want %g", what, i, got[i], want[i])
			}
		}
	}
	wide := func(x []T) []float64 {
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = float64(v)
		}
		return y
	}
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 1))
		for _, width := range []int{1, 3, 8, 9, 16, 17, 40} {
			for _, terms := range []int{1, 3} {
				for _, count := range []int{0, 1, 5, 20} {
					const atoms, room = 12, 3
					stride, ld := count+room, width+room
					c := Codes[T]{Values: drawn[T](rng, terms*stride-room), Index: codes(rng, terms*stride-room, atoms), Stride: stride, Terms: terms,
						Dictionary: drawn[T](rng, atoms*width), Width: width}
					rows, p := drawn[T](rng, count*ld), drawn[T](rng, count*ld)
					values, dictionary := drawn[T](rng, len(c.Values)), drawn[T](rng, len(c.Dictionary))
					wantRows, wantValues, wantDictionary := wide(rows), wide(values), wide(dictionary)
					for i := range count {
						clear(wantRows[i*ld : i*ld+width])
						for k := range terms {
							at := k*stride + i
							for j := range width {
								atom := int(c.Index[at])*width + j
								wantRows[i*ld+j] += float64(c.Values[at]) * float64(c.Dictionary[atom])
								wantDictionary[atom] += float64(c.Values[at]) * float64(p[i*ld+j])
								wantValues[at] += float64(p[i*ld+j]) * float64(c.Dictionary[atom])
							}
						}
					}
					c.Rows(rows, ld, count)
					c.RowsGrad(values, dictionary, p, ld, count)
					name := fmt.Sprintf("width %d, %d terms, %d rows: ", width, terms, count)
					near(name+"rows", rows, wantRows)
					near(name+"gradients of values", values, wantValues)
					near(name+"gradients of atoms", dictionary, wantDictionary)
				}
			}
		}
	})
}

func TestCodesRefuse(t *testing.T) {
	good := Codes[float32]{Values: make([]float32, 10), Index: make([]uint8, 10), Stride: 5, Terms: 2, Dictionary: make([]float32, 4), Width: 2}
	for name, change := range map[string]func(c *Codes[float32]){
		"values":   func(c *Codes[float32]) { c.Values = c.Values[:9] },
		"index":    func(c *Codes[float32]) { c.Index = c.Index[:9] },
		"no terms": func(c *Codes[float32]) { c.Terms = 0 },
		"width":    func(c *Codes[float32]) { c.Width = 4 },
		"overlap":  func(c *Codes[float32]) { c.Stride = 4 },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			c := good
			change(&c)
			c.Rows(make([]float32, 15), 3, 5)
		}()
	}
}

// BenchmarkCodes times sums of 5 atoms of width 16 and their gradients.
func BenchmarkCodes(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 1))
	const rows, terms, width, atoms = 768, 5, 16, 64
	c := Codes[float32]{Values: drawn[float32](rng, rows*terms), Index: codes(rng, rows*terms, atoms), Stride: rows, Terms: terms,
		Dictionary: drawn[float32](rng, atoms*width), Width: width}
	w, values, dictionary := drawn[float32](rng, rows*width), drawn[float32](rng, rows*terms), drawn[float32](rng, atoms*width)
	for name, f := range map[string]func(){
		"rows":      func() { c.Rows(w, width, rows) },
		"gradients": func() { c.RowsGrad(values, dictionary, w, width, rows) },
	} {
		for l := isaGo; l <= bestISA(); l++ {
			b.Run(name+"/"+l.String(), func(b *testing.B) {
				useISA(b, l)
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(rows*terms), "ns/value")
			})
		}
	}
}
