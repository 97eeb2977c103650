package interpret

import (
	"sparrow/kernel"
	"sparrow/task"
)

// Pair is a feature of one fit with that of another which is nearest.
type Pair struct {
	Feature int     `json:"feature"`
	Other   int     `json:"other"`
	Cosine  float64 `json:"cosine"`
}

// Comparison is how alike two sets of features are.
type Comparison struct {
	Layer  int     `json:"layer"`
	Method string  `json:"method"`
	Mean   float64 `json:"mean"`  // cosine
	Above  float64 `json:"above"` // share of the features that the other has too
	Pairs  []Pair  `json:"pairs"`
}

// Compare finds for each feature of one folder the nearest of the other, in the layers and methods that both have. Two count as one
// from the cosine alike on.
func Compare(a, b *Folder, alike float64) ([]Comparison, error) {
	var all []Comparison
	for _, s := range a.Sets {
		o, err := b.Find(s.Layer, s.Method)
		if err != nil || o.Site != s.Site || o.Z.Cols != s.Z.Cols {
			continue
		}
		c := Comparison{Layer: s.Layer, Method: s.Method}
		for i := range s.Z.Rows {
			p := Pair{Feature: i, Cosine: -2}
			for j := range o.Z.Rows {
				if x := kernel.Dot(s.Z.Row(i), o.Z.Row(j)); x > p.Cosine {
					p.Other, p.Cosine = j, x
				}
			}
			c.Mean += p.Cosine / float64(s.Z.Rows)
			if p.Cosine >= alike {
				c.Above++
			}
			p.Cosine = rounded(p.Cosine)
			c.Pairs = append(c.Pairs, p)
		}
		c.Above /= float64(s.Z.Rows)
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, task.Refusef("%s and %s have no layer, site and method in common", a.Dir, b.Dir)
	}
	return all, nil
}
