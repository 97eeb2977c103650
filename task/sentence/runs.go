package sentence

import (
	"math"

	"sparrow/kernel"
	"sparrow/model"
)

// startCost is what a run costs beside its tokens, in tokens: it reads all weights.
const startCost = 28

// split says in what runs some texts, of these lengths, the longest first, become vectors, so that little of a run is filling:
// how many texts each has and its shape. The vectors are, bit for bit, those of one run of all: products of few rows add in another
// order, so a run has more tokens than that even where its texts have not, and texts beside one that is longer than that are filled up
// until their attention has more rows too. One text by itself has a run of one row.
func split(lengths []int, longest int) (counts []int, shapes []model.Shape) {
	if len(lengths) == 1 {
		return []int{1}, []model.Shape{{Rows: 1, Length: min(roundUp(lengths[0]), longest)}}
	}
	least := 0
	if lengths[0] > kernel.ThinRows {
		least = kernel.ThinRows + 1
	}
	type best struct{ cost, count int }
	from := make([]best, len(lengths)+1) // of the texts from there on: the least cost, and how many the first run has
	for i := len(lengths) - 1; i >= 0; i-- {
		from[i].cost = math.MaxInt
		for n := 1; i+n <= len(lengths); n++ {
			x := shapeOf(n, max(lengths[i], least), longest)
			if cost := startCost + x.Rows*x.Length + from[i+n].cost; cost < from[i].cost {
				from[i] = best{cost, n}
			}
		}
	}
	for i := 0; i < len(lengths); i += from[i].count {
		counts, shapes = append(counts, from[i].count), append(shapes, shapeOf(from[i].count, max(lengths[i], least), longest))
	}
	return counts, shapes
}

// shapeOf is that of a run of n texts among several.
func shapeOf(n, length, longest int) model.Shape {
	length = min(roundUp(length), longest)
	for n*length <= kernel.ThinRows {
		n++
	}
	step := 1 // rows are of few numbers, as lengths are
	for n > 4*step {
		step *= 2
	}
	return model.Shape{Rows: (n + step - 1) / step * step, Length: length}
}

// roundUp is a length of few, at most a sixteenth more: each is a graph to build, which takes as long as a few tokens, and to keep.
func roundUp(n int) int {
	step := 1
	for n > 16*step {
		step *= 2
	}
	return (n + step - 1) / step * step
}
