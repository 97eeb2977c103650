package optim

import (
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// rowGrain is how many rows of a table one piece of an update covers.
const rowGrain = 64

// updateRows is the lazy update of a table of which a step read some rows: those alone change, with their means and their decay. A row
// has the bias correction of the run's steps, so that one that is read late starts as if its means had been zero until then. Only
// AdamW has it: the blocks of adamw8bit span rows.
func updateRows(o Optimizer, name string, rows []int, grad *tensor.Dense, step int, rate, scale float64) {
	a, ok := o.(*AdamW)
	if !ok {
		panic(fmt.Sprintf("optim: rows of %s for %T", name, o))
	}
	w, width := a.store.Get(name), grad.Shape()[1]
	p := adamSettings(a.cfg, a.store.Decays(name), step, rate, scale)
	if w.Dtype() == tensor.Float32 {
		updateRowsOf(p, rows, width, w.Float32s(), a.mean[name].Float32s(), a.square[name].Float32s(), grad.Float32s())
	} else {
		updateRowsOf(p, rows, width, w.Float64s(), a.mean[name].Float64s(), a.square[name].Float64s(), grad.Float64s())
	}
}

func updateRowsOf[T kernel.Float](p kernel.AdamW, rows []int, width int, w, m, v, g []T) {
	kernel.Ranges(len(rows), rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			from, to := rows[i]*width, (rows[i]+1)*width
			kernel.AdamWStep(p, w[from:to], m[from:to], v[from:to], g[i*width:(i+1)*width])
		}
	})
}
