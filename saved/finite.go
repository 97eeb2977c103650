package saved

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sparrow/checkpoints"
	"sparrow/kernel"
	"sparrow/nn"
)

// checkFinite names a weight of a store's arrays that is no finite number. Those that are held in few bits are checked as such.
func checkFinite(s *nn.Store, arrays map[string]checkpoints.Array) error {
	for _, name := range slices.Concat(s.Names(), s.BaseNames()) {
		if values, ok := arrays[name].Data.([]float32); ok {
			if err := finite(name, arrays[name].Shape, values); err != nil {
				return err
			}
		}
	}
	return nil
}

func finite(name string, shape []int, values []float32) error {
	if kernel.AllFinite(values) {
		return nil
	}
	for i, v := range values {
		if kernel.Finite(float64(v)) {
			continue
		}
		at := make([]string, len(shape))
		for axis := len(shape) - 1; axis >= 0; axis-- {
			at[axis], i = strconv.Itoa(i%shape[axis]), i/shape[axis]
		}
		return fmt.Errorf("%s[%s] is %g", name, strings.Join(at, ", "), v)
	}
	return nil
}
