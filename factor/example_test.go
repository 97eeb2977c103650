package factor_test

import (
	"context"
	"fmt"
	"math"

	"sparrow/factor"
)

// The best single term keeps the large row; when the second input matters most, it keeps that one.
func ExampleWeightedSVD() {
	w, err := factor.FromFloat32(2, 3, []float32{
		3, 0, 1,
		0, 1, 0,
	})
	if err != nil {
		panic(err)
	}
	for _, weights := range []factor.Weights{{}, {Cols: []float64{1, 100, 1}}} {
		d, err := factor.WeightedSVD(context.Background(), w, 1, weights, nil)
		if err != nil {
			panic(err)
		}
		fmt.Printf("error %.1f:", d.Error)
		for _, v := range d.Product().Data {
			fmt.Print(" ", math.Round(v)+0) // no -0
		}
		fmt.Println()
	}
	// Output:
	// error 1.0: 3 0 1 0 0 0
	// error 0.5: 0 0 0 0 1 0
}
