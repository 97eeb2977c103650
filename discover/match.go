package discover

import "math"

// Match pairs found classes with true ones so that the sum of counts over the pairs is largest (Kuhn 1955, by shortest augmenting
// paths). counts[i][j] is how many examples of true class j were found to be i; there may be more of one than of the other. of[i] is
// the true class of i, -1: none is left for it.
func Match(counts [][]float64) (of []int) {
	n := len(counts)
	for _, row := range counts {
		n = max(n, len(row))
	}
	cost := func(i, j int) float64 { // square: what is not there costs nothing
		if i < len(counts) && j < len(counts[i]) {
			return -counts[i][j]
		}
		return 0
	}
	// u and v are the potentials of rows and columns, row[j] the row that column j is paired with; all count from 1.
	u, v := make([]float64, n+1), make([]float64, n+1)
	row, way := make([]int, n+1), make([]int, n+1)
	for i := 1; i <= n; i++ {
		row[0] = i
		least, used := make([]float64, n+1), make([]bool, n+1)
		for j := range least {
			least[j] = math.Inf(1)
		}
		j0 := 0
		for row[j0] != 0 {
			used[j0] = true
			delta, j1 := math.Inf(1), 0
			for j := 1; j <= n; j++ {
				if used[j] {
					continue
				}
				if c := cost(row[j0]-1, j-1) - u[row[j0]] - v[j]; c < least[j] {
					least[j], way[j] = c, j0
				}
				if least[j] < delta {
					delta, j1 = least[j], j
				}
			}
			for j := range used {
				if used[j] {
					u[row[j]] += delta
					v[j] -= delta
				} else {
					least[j] -= delta
				}
			}
			j0 = j1
		}
		for j0 != 0 {
			row[j0] = row[way[j0]]
			j0 = way[j0]
		}
	}
	of = make([]int, len(counts))
	for i := range of {
		of[i] = -1
	}
	for j := 1; j <= n; j++ {
		if i := row[j] - 1; i < len(counts) && j-1 < len(counts[i]) {
			of[i] = j - 1
		}
	}
	return of
}

// Accuracy is the share of examples whose label is that of their truth when found classes are paired with true ones as well as
// they can be, and the pairs. Examples whose truth is negative do not count; without any the accuracy is NaN.
func Accuracy(label, truth []int, classes, true_ int) (accuracy float64, of []int) {
	counts := make([][]float64, classes)
	for i := range counts {
		counts[i] = make([]float64, true_)
	}
	total := 0
	for i, y := range truth {
		if y >= 0 {
			counts[label[i]][y]++
			total++
		}
	}
	of = Match(counts)
	right := 0.0
	for i, j := range of {
		if j >= 0 {
			right += counts[i][j]
		}
	}
	return right / float64(total), of
}
