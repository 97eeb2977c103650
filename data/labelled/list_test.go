package labelled

import (
	"fmt"
	"strings"
	"testing"
)

// TestList: examples are split as Open splits them, and each keeps its line's other column.
func TestList(t *testing.T) {
	var file strings.Builder
	file.WriteString("text\tlabel\ttopic\n")
	for i := range 40 {
		fmt.Fprintf(&file, "text number %d\tshop %d\ttopic %d\n", i, i%2, i)
	}
	cfg := tsvConfig(writeFile(t, "texts.tsv", file.String()))
	for _, limit := range []int{0, 20} {
		cfg.MaxExamples = limit
		d, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		list, err := List(t.Context(), cfg, nil, "topic")
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, x := range list {
			var n int
			if _, err := fmt.Sscanf(x.Text, "text number %d", &n); err != nil {
				t.Fatal(err)
			}
			if x.Label != fmt.Sprintf("shop %d", n%2) || x.Truth != fmt.Sprintf("topic %d", n) {
				t.Errorf("%+v", x)
			}
			if x.Held {
				held++
			}
		}
		if held != d.Validation.Len() || len(list)-held != d.Train.Len() || held == 0 {
			t.Errorf("%d of %d are held out; the data set has %d of %d", held, len(list), d.Validation.Len(), d.Train.Len()+d.Validation.Len())
		}
	}
	if plain, err := List(t.Context(), cfg, nil, ""); err != nil || plain[0].Truth != "" {
		t.Errorf("without another column: %v, %v", plain, err)
	}
	for truth, want := range map[string]string{"colour": `"colour" is not in the header`} {
		if _, err := List(t.Context(), cfg, nil, truth); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("truth %q: %v, want %q", truth, err, want)
		}
	}
	if _, err := List(t.Context(), DefaultIMDB(), nil, "stars"); err == nil || !strings.Contains(err.Error(), "want source = \"table\"") {
		t.Errorf("another source: %v", err)
	}
	if _, err := List(t.Context(), tsvConfigOfScores(t), nil, ""); err == nil || !strings.Contains(err.Error(), "want single texts with classes") {
		t.Errorf("scores: %v", err)
	}
}

func tsvConfigOfScores(t *testing.T) Table {
	cfg := tsvConfig(writeFile(t, "scores.tsv", "text\tlabel\na\t1\nb\t2\nc\t3\nd\t4\ne\t5\nf\t6\ng\t7\nh\t8\n"))
	cfg.Regression = true
	return cfg
}
