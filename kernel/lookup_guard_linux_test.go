package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestLookupsStayInside runs the look-ups and sums of atoms on slices that end at a forbidden page: a read or write past
// the end, also by a masked-out lane, kills the test.
func TestLookupsStayInside(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 1))
		const longest, entries, width, terms = 70, 100, 21, 3
		y, values, table := guarded[float32](t, longest), guarded[float32](t, longest), guarded[float32](t, entries)
		index := guarded[uint8](t, longest)
		copy(index, codes(rng, longest, entries))
		for n := range longest + 1 {
			at := longest - n
			LookupAxpy(y[at:], values[at:], index[at:], table)
			LookupAdd(table, values[at:], index[at:], y[at:])
		}
		rows, dictionary, gradDictionary := guarded[float32](t, 11*width), guarded[float32](t, 5*width), guarded[float32](t, 5*width)
		gradValues := guarded[float32](t, terms*11)
		values, index = guarded[float32](t, terms*11), guarded[uint8](t, terms*11)
		copy(index, codes(rng, terms*11, 5))
		c := Codes[float32]{Values: values, Index: index, Stride: 11, Terms: terms, Dictionary: dictionary, Width: width}
		c.Rows(rows, width, 11)
		c.RowsGrad(gradValues, gradDictionary, rows, width, 11)
	})
}
