package task

import (
	"cmp"
	"math"
	"slices"
)

// confusion counts the examples of each class by what they were taken for: [truth][predicted].
type confusion [][]int

func newConfusion(classes int) confusion {
	c := make(confusion, classes)
	for i := range c {
		c[i] = make([]int, classes)
	}
	return c
}

// sums are the examples, those on the diagonal, and for each class those that are of it and those taken for it.
func (c confusion) sums() (all, right int, truth, predicted []int) {
	truth, predicted = make([]int, len(c)), make([]int, len(c))
	for i, row := range c {
		for j, n := range row {
			all += n
			truth[i] += n
			predicted[j] += n
		}
		right += row[i]
	}
	return all, right, truth, predicted
}

// accuracy is the share of examples whose class is predicted.
func (c confusion) accuracy() float64 {
	all, right, _, _ := c.sums()
	return float64(right) / float64(max(all, 1))
}

// f1 is the harmonic mean of precision and recall of a class, 2 TP / (2 TP + FP + FN); 0 if the class occurs neither in
// truth nor in predictions.
func (c confusion) f1(class int) float64 {
	_, _, truth, predicted := c.sums()
	return 2 * float64(c[class][class]) / float64(max(truth[class]+predicted[class], 1))
}

// macroF1 is the mean of f1 over the classes that occur in truth or predictions.
func (c confusion) macroF1() float64 {
	_, _, truth, predicted := c.sums()
	sum, n := 0.0, 0
	for i := range c {
		if truth[i]+predicted[i] > 0 {
			sum += c.f1(i)
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// matthews is Matthews' correlation coefficient for any number of classes (Gorodkin 2004): with n examples, r of them right,
// t_k of class k and p_k taken for it,
//
//	(n r - sum t_k p_k) / sqrt((n² - sum p_k²) (n² - sum t_k²))
//
// and 0 where all are of one class or taken for one.
func (c confusion) matthews() float64 {
	all, right, truth, predicted := c.sums()
	n := float64(all)
	cov, varTruth, varPredicted := n*float64(right), n*n, n*n
	for k := range c {
		t, p := float64(truth[k]), float64(predicted[k])
		cov -= t * p
		varTruth -= t * t
		varPredicted -= p * p
	}
	if varTruth <= 0 || varPredicted <= 0 {
		return 0
	}
	return cov / math.Sqrt(varTruth) / math.Sqrt(varPredicted)
}

// pearson is the correlation coefficient of x and y, and 0 where one of them is constant.
func pearson(x, y []float64) float64 {
	mx, my := mean(x), mean(y)
	var xy, xx, yy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xy += dx * dy
		xx += dx * dx
		yy += dy * dy
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx) / math.Sqrt(yy)
}

func mean(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(max(len(x), 1))
}

// spearman is pearson of the ranks; equal values share the mean of their ranks. It is NaN where a value is.
func spearman(x, y []float64) float64 { return pearson(ranks(x), ranks(y)) }

func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	r := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i + 1 // past the first, which equals nothing if it is NaN
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		rank := float64(i+j-1) / 2
		if math.IsNaN(x[order[i]]) {
			rank = math.NaN()
		}
		for _, k := range order[i:j] {
			r[k] = rank
		}
		i = j
	}
	return r
}

// Correlations are those of scores with the truth, of values and of ranks.
func Correlations(truth, scores []float64) (ofValues, ofRanks float64) {
	return pearson(truth, scores), spearman(truth, scores)
}
