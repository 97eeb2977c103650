package recommend

import (
	"fmt"

	"sparrow/kernel"
)

// EASE is the item-to-item model of Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019): B minimises
// |X - X B|² + λ |B|² with a diagonal of zeros. With P = (Xᵀ X + λ I)^-1, eq. 8:
//
//	B_ij = -P_ij / P_jj for i != j
//
// Where there are fewer users than items no matrix of items is made: with A = (X Xᵀ + λ I)^-1 [users, users], by Woodbury,
//
//	P = (I - Xᵀ A X) / λ    and    x B = x - x P / diag P
//
// Matrix is [n, n], n the smaller number: first the sum of products, then what is left of it after the pivots taken, in the end B
// or A. Diagonal is of P, [items], of the second form alone.
type EASE struct {
	Lambda   float64
	Matrix   []float32
	Rest     []float32 // what float32 leaves of Matrix; nil: computation is in float32
	Diagonal []float32 // nil: the first form
}

// ByUsers tells whether EASE takes the smaller form for so many users and items.
func ByUsers(users, items int) bool { return users < items }

// Round takes the pivots of one of rounds blocks. It returns the squared error of a row with what it costs in λ |B|², by interaction,
// of a model that predicts from the items whose pivots are taken; it falls from round to round. Of the form by users it is that of
// users predicted from users.
func (e EASE) Round(x, users Sets, round, rounds int) (float64, error) {
	if e.Rest == nil {
		return easeRound(e, e.Matrix, x, users, round, rounds)
	}
	s := make([]float64, len(e.Matrix))
	for i, hi := range e.Matrix {
		s[i] = float64(hi) + float64(e.Rest[i])
	}
	loss, err := easeRound(e, s, x, users, round, rounds)
	for i, v := range s {
		e.Matrix[i] = float32(v)
		e.Rest[i] = float32(v - float64(e.Matrix[i]))
	}
	if round == rounds-1 {
		clear(e.Rest)
	}
	return loss, err
}

func easeRound[T kernel.Float](e EASE, s []T, x, users Sets, round, rounds int) (float64, error) {
	byUsers := e.Diagonal != nil
	rows, across := users, x // of item i its users, and their items
	if byUsers {
		rows, across = x, users
	}
	n := rows.Rows()
	if round == 0 {
		products(s, rows, across, T(e.Lambda))
	}
	lo, hi := n*round/rounds, n*(round+1)/rounds
	if err := sweep(s, n, lo, hi); err != nil {
		return 0, fmt.Errorf("recommend: lambda = %g: %w", e.Lambda, err)
	}
	var loss float64
	for i := range n {
		d := float64(s[i*n+i])
		if i < hi {
			d = -1 / d // 1 / P_ii
		}
		loss += d - e.Lambda
	}
	loss /= float64(len(x.Items))
	if round < rounds-1 {
		return loss, nil
	}
	if !byUsers {
		diagonal := make([]T, n)
		for j := range n {
			diagonal[j] = -s[j*n+j]
		}
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				for j := range n {
					s[i*n+j] /= diagonal[j]
				}
				s[i*n+i] = 0
			}
		})
		return loss, nil
	}
	for i := range s {
		s[i] = -s[i]
	}
	kernel.Ranges(users.Rows(), rowGrain, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			q, own := 0.0, users.Row(j)
			for _, u := range own {
				for _, v := range own {
					q += float64(s[int(u)*n+int(v)])
				}
			}
			e.Diagonal[j] = float32((1 - q) / e.Lambda)
		}
	})
	return loss, nil
}

// products is rows rowsᵀ + ridge I, where across is rows transposed.
func products[T kernel.Float](s []T, rows, across Sets, ridge T) {
	n := rows.Rows()
	kernel.Ranges(n, rowGrain/4, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			to := s[i*n : (i+1)*n]
			clear(to)
			for _, u := range rows.Row(i) {
				for _, j := range across.Row(int(u)) {
					to[j]++
				}
			}
			to[i] += ridge
		}
	})
}

// Scorer is what the solved model scores by; x are the interactions that it was solved for.
func (e EASE) Scorer(x Sets) Scorer {
	if e.Diagonal == nil {
		return ItemWeights{N: x.Columns, B: e.Matrix}
	}
	return easeByUsers{e, x}
}

// easeByUsers scores by the second form.
type easeByUsers struct {
	EASE
	x Sets
}

// Items implements Scorer.
func (e easeByUsers) Items() int { return e.x.Columns }

// Score implements Scorer: with t = X x the number of items that each user has in common, s = x - (x - Xᵀ A t) / (λ diag P).
func (e easeByUsers) Score(dst []float32, who []Who) error {
	n, items := e.x.Rows(), e.x.Columns
	common, a := make([]float32, len(who)*n), make([]float32, len(who)*n)
	for _, w := range who {
		if err := checkClicks(w.Clicks, items); err != nil {
			return err
		}
	}
	kernel.Parallel(len(who), func(i int) {
		clicked := make([]bool, items)
		for _, item := range who[i].Clicks {
			clicked[item] = true
		}
		for u := range n {
			for _, item := range e.x.Row(u) {
				if clicked[item] {
					common[i*n+u]++
				}
			}
		}
	})
	kernel.Gemm(false, false, len(who), n, n, 1, common, n, e.Matrix, n, 0, a, n)
	kernel.Parallel(len(who), func(i int) {
		row := dst[i*items : (i+1)*items]
		clear(row)
		for u := range n {
			if y := a[i*n+u]; y != 0 {
				for _, item := range e.x.Row(u) {
					row[item] += y
				}
			}
		}
		for _, item := range who[i].Clicks {
			row[item]-- // y - x
		}
		for j, y := range row {
			row[j] = y / (float32(e.Lambda) * e.Diagonal[j])
		}
		for _, item := range who[i].Clicks {
			row[item]++
		}
	})
	return nil
}
