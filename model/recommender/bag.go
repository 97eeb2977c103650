package recommender

import (
	G "gorgonia.org/gorgonia"

	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// bag are the leaves by which rows of tables are summed, see [op.Bag].
type bag struct{ ids, weights *G.Node }

func newBag(g *model.Graph, name string, n, length int) bag {
	return bag{g.Ints(name+"_ids", n*length), g.Floats(name+"_weights", n, length)}
}

// of sums the rows of a table: [N, D].
func (b bag) of(w nn.Weight) *G.Node { return op.Bag(b.ids, b.weights, w.Use()) }

// each calls f with the rows of a table that make user or item i, and their weights: that of his number, if he was trained on, and
// those of the values of his fields, which come after the n numbers.
func each(i int, fields func(int) [][]int32, n int, trained bool, f func(row int, weight float32)) {
	if trained {
		f(i, 1)
	}
	if fields == nil {
		return
	}
	for _, values := range fields(i) {
		for _, v := range values {
			f(n+int(v), 1/float32(len(values)))
		}
	}
}

// feedBag fills a bag with users or items; scale, unless nil, changes the weight of a row of one of them.
func feedBag(p *model.Program, name string, of []int32, fields func(int) [][]int32, n int, scale func(at, row int, weight float32) float32) {
	ids, weights := p.Ints(name+"_ids"), p.Floats(name+"_weights")
	length := len(ids) / len(of)
	values := make([]float32, len(ids))
	clear(ids)
	for at, i := range of {
		k := at * length
		each(int(i), fields, n, true, func(row int, weight float32) {
			if scale != nil {
				weight = scale(at, row, weight)
			}
			ids[k], values[k] = row, weight
			k++
		})
	}
	weights.Set(values)
}

// fillOnes fills a leaf with ones.
func fillOnes(p *model.Program, name string) {
	rows := p.Floats(name)
	ones := make([]float32, rows.Count*rows.Width)
	for i := range ones {
		ones[i] = 1
	}
	rows.Set(ones)
}
