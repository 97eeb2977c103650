package factor

import (
	"math"

	"sparrow/kernel"
)

// use is one place where an atom is used: the vector, and where its coefficient is.
type use struct {
	vector int
	value  *float64
}

// uses lists the users of each atom in the order of the vectors; zero coefficients do not count.
func (l *learner) uses() [][]use {
	counts := make([]int, l.cfg.Atoms)
	for _, c := range l.groups {
		for i, k := range c.Index {
			if c.Values[i] != 0 {
				counts[k]++
			}
		}
	}
	lists := make([][]use, l.cfg.Atoms)
	for k, n := range counts {
		lists[k] = make([]use, 0, n)
	}
	start := 0
	for _, c := range l.groups {
		for i, k := range c.Index {
			if c.Values[i] != 0 {
				lists[k] = append(lists[k], use{start + i/c.Nonzeros, &c.Values[i]})
			}
		}
		start += c.Vectors
	}
	return lists
}

// residual returns X - C D.
func (l *learner) residual() *Matrix {
	r := l.x.Clone()
	start := 0
	for _, c := range l.groups {
		p := c.Product(l.dictionary)
		kernel.Axpy(-1, p.Data, r.Data[start*r.Cols:start*r.Cols+len(p.Data)])
		start += c.Vectors
	}
	return r
}

// update improves the atoms for fixed supports and replaces those that hardly anyone uses.
func (l *learner) update() error {
	lists := l.uses()
	rest := l.residual()
	if l.cfg.Update == KSVD {
		l.ksvd(lists, rest)
	} else {
		l.mod(lists, rest)
		rest = l.residual()
	}
	l.reseed(lists, rest)
	return l.j.ctx.Err()
}

// ksvd updates atom after atom, and rest with them: with E the residual of the atom's users without it and g their
// coefficients, d = Eᵀg/||Eᵀg||, g = E d.
func (l *learner) ksvd(lists [][]use, rest *Matrix) {
	const grain = 512 // users a task; partial sums are added in order
	b := rest.Cols
	for k, users := range lists {
		if len(users) == 0 {
			continue
		}
		atom := l.dictionary.Row(k)
		parts := make([]float64, (len(users)+grain-1)/grain*b)
		energy := make([]float64, len(parts)/b)
		kernel.Ranges(len(users), grain, func(lo, hi int) {
			part := parts[lo/grain*b : (lo/grain+1)*b]
			sum := 0.0
			for _, u := range users[lo:hi] {
				kernel.Axpy(*u.value, rest.Row(u.vector), part)
				sum += *u.value * *u.value
			}
			energy[lo/grain] = sum
		})
		// Eᵀg = restᵀ g + (gᵀg) d
		fresh := make([]float64, b)
		for p := range energy {
			kernel.Add(fresh, fresh, parts[p*b:(p+1)*b])
		}
		kernel.Axpy(kernel.Sum(energy), atom, fresh)
		if !unitRow(fresh, fresh) {
			continue
		}
		kernel.Ranges(len(users), grain, func(lo, hi int) {
			for _, u := range users[lo:hi] {
				row := rest.Row(u.vector)
				kernel.Axpy(*u.value, atom, row)
				*u.value = kernel.Dot(row, fresh)
				kernel.Axpy(-*u.value, fresh, row)
			}
		})
		copy(atom, fresh)
	}
}

// mod solves (CᵀC + mu I) step = Cᵀ rest and adds the step to the atoms: least squares, but unused atoms stay. Then atoms
// are normalised and coefficients take up their norms.
func (l *learner) mod(lists [][]use, rest *Matrix) {
	const damping = 1e-10 // mu, relative to the mean of the diagonal
	atoms, b := l.cfg.Atoms, rest.Cols
	normal := make([]float64, atoms*atoms)
	for _, c := range l.groups {
		for i := range c.Vectors {
			index, values := c.row(i)
			for s, k := range index {
				for t, m := range index[:s+1] {
					normal[int(k)*atoms+int(m)] += values[s] * values[t]
				}
			}
		}
	}
	trace := 0.0
	for k := range atoms {
		trace += normal[k*atoms+k]
	}
	for k := range atoms {
		normal[k*atoms+k] += damping*trace/float64(atoms) + 1e-300
	}
	right := NewMatrix(atoms, b)
	const grain = 4
	kernel.Ranges(atoms, grain, func(lo, hi int) {
		for k := lo; k < hi; k++ {
			for _, u := range lists[k] {
				kernel.Axpy(*u.value, rest.Row(u.vector), right.Row(k))
			}
		}
	})
	if !cholesky(normal, atoms) {
		return
	}
	steps := right.Transpose() // [b, K]
	kernel.Parallel(b, func(i int) { choleskySolve(normal, atoms, steps.Row(i)) })
	kernel.Transpose(l.dictionary.Data, b, steps.Data, atoms, b, atoms, true)
	for k := range atoms {
		atom := l.dictionary.Row(k)
		norm := math.Sqrt(kernel.Dot(atom, atom))
		if norm == 0 {
			continue
		}
		kernel.Scale(1/norm, atom)
		for _, u := range lists[k] {
			*u.value *= norm
		}
	}
}

// reseed replaces atoms with too few users by the vectors that are coded worst, one each. What a former user keeps is its
// code without that atom.
func (l *learner) reseed(lists [][]use, rest *Matrix) {
	least := l.cfg.MinUsers
	if least == 0 {
		least = 2
	}
	var idle []int
	for k, users := range lists {
		if len(users) < least {
			idle = append(idle, k)
		}
	}
	if len(idle) == 0 {
		return
	}
	errors := make([]float64, rest.Rows)
	for i := range errors {
		errors[i] = kernel.Dot(rest.Row(i), rest.Row(i))
	}
	worst := descending(errors)
	next := 0
	for _, k := range idle {
		if next == len(worst) || errors[worst[next]] == 0 {
			return
		}
		if !unitRow(l.dictionary.Row(k), l.x.Row(worst[next])) {
			return
		}
		next++
		l.reseeded++
		for _, u := range lists[k] {
			*u.value = 0
		}
	}
}
