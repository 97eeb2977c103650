package task

import (
	"strings"
	"testing"
)

// TestClasses: precision and recall of each class against counts by hand, and a table that names the class of f1.
func TestClasses(t *testing.T) {
	c := confusion{{3, 1}, {2, 4}}.classes([]string{"no", "yes"})
	each := c.Each()
	if yes := each[1]; yes.Precision != 0.8 || yes.Recall != 4.0/6 || yes.Examples != 6 || each[0].Precision != 0.6 || each[0].Recall != 0.75 {
		t.Errorf("%+v", each)
	}
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `class  precision  recall      f1  examples  taken for no, yes
no        0.6000  0.7500  0.6667         4       3       1
yes       0.8000  0.6667  0.7273         6       2       4
f1 above is that of yes
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	many := newConfusion(30)
	names := make([]string, 30)
	for i := range many {
		names[i] = strings.Repeat("x", i+1)
		many[i][(i*i)%30]++
	}
	b.Reset()
	if err := many.classes(names).Write(&b); err != nil || strings.Count(b.String(), "\n") != 22 || !strings.Contains(b.String(), "the 20 of 30 classes") {
		t.Errorf("%v\n%s", err, &b)
	}
}
