package page

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/metrics"
)

// TestWrite: a page has the curves that were measured, what the model wrote, escaped, and loads itself again only under way.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	var records []metrics.Record
	for i := range 1000 {
		records = append(records, metrics.Record{Step: i + 1, Kind: metrics.KindTrain, Values: []metrics.Value{{Name: "loss", X: 1 / float64(i+1)}, {Name: "learning_rate", X: 1e-3}}})
	}
	records = append(records, metrics.Record{Step: 1000, Kind: metrics.KindEval, Values: []metrics.Value{{Name: "validation_loss", X: math.NaN()}, {Name: "accuracy", X: 0.5}}})
	r := Run{Name: "a<b", Status: "step 10 of 20", Facts: []Fact{{"data", "x & y"}}, Records: records, Sample: "<script>", Config: "seed = 1", Underway: true}
	read := func() string {
		if err := Write(path, r); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	text := read()
	for want, n := range map[string]int{
		"<svg": 3, "<h2>learning rate</h2>": 1, "<h2>norm of the gradient</h2>": 0, "validation loss": 0, "&lt;script&gt;": 1, "<script": 0, "a&lt;b": 2, "x &amp; y": 1, "seed = 1": 1, `http-equiv="refresh"`: 1, "NaN": 0,
	} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%q %d times, want %d", want, got, n)
		}
	}
	if points := strings.Count(text, "L"); points > 3*most {
		t.Errorf("%d points", points)
	}
	r.Underway, r.Status = false, "finished"
	if text := read(); strings.Contains(text, "refresh") || !strings.Contains(text, "finished") {
		t.Error("a finished run's page still loads itself again")
	}
}
