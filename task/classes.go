package task

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Classes are what a classifier took the examples of each class for.
type Classes struct {
	Names    []string `json:"names"`
	Counts   [][]int  `json:"counts"`             // [truth][predicted]
	Positive string   `json:"positive,omitempty"` // the class of the metric f1; "": there are not two
}

// Class is how well one class is told from the others.
type Class struct {
	Name      string  `json:"name"`
	Precision float64 `json:"precision"` // share of it among what was taken for it; 0: nothing was
	Recall    float64 `json:"recall"`    // share of its examples that were taken for it
	F1        float64 `json:"f1"`
	Examples  int     `json:"examples"`
}

// classes are those of what has been counted.
func (c confusion) classes(names []string) *Classes {
	all := &Classes{Names: names, Counts: c}
	if len(names) == 2 {
		all.Positive = names[1]
	}
	return all
}

// Each is every class in order.
func (c *Classes) Each() []Class {
	counts := confusion(c.Counts)
	_, _, truth, predicted := counts.sums()
	all := make([]Class, len(c.Names))
	for i, name := range c.Names {
		right := float64(counts[i][i])
		all[i] = Class{name, right / float64(max(predicted[i], 1)), right / float64(max(truth[i], 1)), counts.f1(i), truth[i]}
	}
	return all
}

// mostClasses are how many a table for people shows.
const mostClasses = 20

// Write writes a table for people: a line for each class with its precision and recall and, of few classes, what its examples were taken
// for. Of many classes those with the least F1 are shown.
func (c *Classes) Write(w io.Writer) error {
	each := c.Each()
	shown := make([]int, len(each))
	wide := len("class")
	for i := range shown {
		shown[i] = i
		wide = max(wide, min(len([]rune(each[i].Name)), 24))
	}
	var b strings.Builder
	all := len(each) <= mostClasses
	if !all {
		slices.SortStableFunc(shown, func(i, j int) int {
			switch {
			case each[i].F1 < each[j].F1:
				return -1
			case each[i].F1 > each[j].F1:
				return 1
			}
			return 0
		})
		shown = shown[:mostClasses]
		fmt.Fprintf(&b, "the %d of %d classes that are told worst:\n", mostClasses, len(each))
	}
	matrix := len(each) <= 10
	fmt.Fprintf(&b, "%-*s  precision  recall      f1  examples", wide, "class")
	if matrix {
		b.WriteString("  taken for " + strings.Join(c.Names, ", "))
	}
	b.WriteByte('\n')
	for _, i := range shown {
		x := each[i]
		name := []rune(x.Name)
		if len(name) > 24 {
			name = append(name[:23], '…')
		}
		fmt.Fprintf(&b, "%-*s     %.4f  %.4f  %.4f  %8d", wide, string(name), x.Precision, x.Recall, x.F1, x.Examples)
		for _, n := range c.Counts[i] {
			if matrix {
				fmt.Fprintf(&b, "  %6d", n)
			}
		}
		b.WriteByte('\n')
	}
	if c.Positive != "" {
		fmt.Fprintf(&b, "f1 above is that of %s\n", c.Positive)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
