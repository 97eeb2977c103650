package saved

import (
	"fmt"
	"strconv"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/nn"
)

// checkFinite names a weight of a store that is no finite number. The scales of those in few bits have been checked.
func checkFinite(s *nn.Store) error {
	for _, name := range s.Names() {
		if s.InFewBits(name) {
			continue
		}
		if err := finite(name, s.Get(name)); err != nil {
			return err
		}
	}
	for _, name := range s.BaseNames() {
		b := s.Base(name)
		if b.Stored.Bits > 0 {
			continue
		}
		if err := finite(name, b.Weight); err != nil {
			return err
		}
	}
	return nil
}

func finite(name string, d *tensor.Dense) error {
	values := d.Float32s()
	if kernel.AllFinite(values) {
		return nil
	}
	for i, v := range values {
		if kernel.Finite(float64(v)) {
			continue
		}
		shape := d.Shape()
		at := make([]string, len(shape))
		for axis := len(shape) - 1; axis >= 0; axis-- {
			at[axis], i = strconv.Itoa(i%shape[axis]), i/shape[axis]
		}
		return fmt.Errorf("%s[%s] is %g", name, strings.Join(at, ", "), v)
	}
	return nil
}
