package compress

import "slices"

// Budget is what the layers may have together, in one unit.
type Budget struct {
	Unit  string `json:"unit"`  // "bytes" or "params"
	Limit int    `json:"limit"` // at most
	Dense int    `json:"dense"` // the layers as they were
}

// budget is what the config allows.
func (c Settings) budget(ts []Target) Budget {
	params := 0
	for _, t := range ts {
		params += t.DenseParams()
	}
	switch {
	case c.Params > 0:
		return Budget{"params", c.Params, params}
	case c.Bytes > 0:
		return Budget{"bytes", c.Bytes, valueBytes * params}
	}
	dense := valueBytes * params
	return Budget{"bytes", int(float64(dense) * (1 - c.Ratio)), dense}
}

// cost is an option's share of the budget.
func (b Budget) cost(o Option) int {
	if b.Unit == "params" {
		return o.Params
	}
	return o.Bytes
}

// cost is an option's share of any budget in the config's unit.
func (c Settings) cost(o Option) int { return c.budget(nil).cost(o) }

// allocation is a choice of one option for each layer, under way.
type allocation struct {
	budget  Budget
	options [][]Option // of each layer, ascending in cost, the last dense
	chosen  []int
	left    int // of the budget
}

// allocate chooses an option for each layer within the budget. With uniform each layer keeps the same share of its own
// size, as nearly as its steps allow; else the sum of predicted losses is as small as a greedy walk along each layer's
// lower convex hull makes it, which is the optimum for hulls whose steps are all alike. Either way the result is tight:
// no layer's next step still fits. A budget below the cheapest options is an error.
func allocate(options [][]Option, budget Budget, uniform bool) ([]int, error) {
	a := &allocation{budget: budget, options: options, chosen: make([]int, len(options)), left: budget.Limit}
	for l := range options {
		a.left -= a.cost(l, 0)
	}
	if a.left < 0 {
		return nil, refusef("a budget of %d %s is too small: the smallest options of the %d layers take %d; they are %d dense",
			budget.Limit, budget.Unit, len(options), budget.Limit-a.left, budget.Dense)
	}
	if uniform {
		a.share()
	} else {
		a.climb()
		a.improve()
	}
	a.tighten(uniform)
	return a.chosen, nil
}

func (a *allocation) cost(l, i int) int { return a.budget.cost(a.options[l][i]) }

// take makes layer l its option i.
func (a *allocation) take(l, i int) {
	a.left -= a.cost(l, i) - a.cost(l, a.chosen[l])
	a.chosen[l] = i
}

// fits tells whether layer l can become its option i.
func (a *allocation) fits(l, i int) bool { return a.cost(l, i)-a.cost(l, a.chosen[l]) <= a.left }

// share raises each layer to the last option within its share of the budget.
func (a *allocation) share() {
	share := float64(a.budget.Limit) / float64(a.budget.Dense)
	for l, options := range a.options {
		size := float64(a.cost(l, len(options)-1))
		for i := range options {
			if float64(a.cost(l, i)) <= share*size && a.fits(l, i) {
				a.take(l, i)
			}
		}
	}
}

// segment is a step along a layer's hull.
type segment struct {
	layer, to int
	slope     float64 // loss avoided for each unit of cost
}

// climb takes the steps along all layers' hulls in the order of what they gain, as far as the budget goes.
func (a *allocation) climb() {
	var steps []segment
	for l := range a.options {
		hull := a.hull(l)
		for k := 1; k < len(hull); k++ {
			steps = append(steps, segment{l, hull[k], a.slope(l, hull[k-1], hull[k])})
		}
	}
	slices.SortStableFunc(steps, func(x, y segment) int { // ties stay in the order of layers
		switch {
		case x.slope > y.slope:
			return -1
		case x.slope < y.slope:
			return 1
		}
		return 0
	})
	ended := make([]bool, len(a.options)) // a step that did not fit ends its layer's walk
	for _, s := range steps {
		switch {
		case ended[s.layer]:
		case a.fits(s.layer, s.to):
			a.take(s.layer, s.to)
		default:
			ended[s.layer] = true
		}
	}
}

func (a *allocation) slope(l, from, to int) float64 {
	o := a.options[l]
	return (o[from].Loss - o[to].Loss) / float64(max(1, a.cost(l, to)-a.cost(l, from)))
}

// hull lists the options on the lower convex hull of (cost, loss), from the cheapest on as long as the loss falls.
func (a *allocation) hull(l int) []int {
	hull := []int{0}
	for i := 1; i < len(a.options[l]); i++ {
		if a.options[l][i].Loss >= a.options[l][hull[len(hull)-1]].Loss {
			continue
		}
		for len(hull) > 1 && a.slope(l, hull[len(hull)-2], hull[len(hull)-1]) <= a.slope(l, hull[len(hull)-1], i) {
			hull = hull[:len(hull)-1]
		}
		hull = append(hull, i)
	}
	return hull
}

// improve spends what the walk has left: the option that avoids the most loss for its cost, of any layer, until none
// that fits avoids any.
func (a *allocation) improve() {
	for {
		best := segment{layer: -1}
		for l, options := range a.options {
			for i := a.chosen[l] + 1; i < len(options) && a.fits(l, i); i++ {
				if s := a.slope(l, a.chosen[l], i); s > best.slope {
					best = segment{l, i, s}
				}
			}
		}
		if best.layer < 0 {
			return
		}
		a.take(best.layer, best.to)
	}
}

// tighten takes single steps while one fits: that of the layer which is furthest below its share or, else, which avoids
// the most loss for its cost.
func (a *allocation) tighten(uniform bool) {
	for {
		best := segment{layer: -1}
		for l, options := range a.options {
			next := a.chosen[l] + 1
			if next == len(options) || !a.fits(l, next) {
				continue
			}
			gain := a.slope(l, a.chosen[l], next)
			if uniform {
				gain = -float64(a.cost(l, a.chosen[l])) / float64(a.cost(l, len(options)-1))
			}
			if best.layer < 0 || gain > best.slope {
				best = segment{l, next, gain}
			}
		}
		if best.layer < 0 {
			return
		}
		a.take(best.layer, best.to)
	}
}
