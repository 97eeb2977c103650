package sweep

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sparrow/internal/shell"
)

func TestParseAxes(t *testing.T) {
	got, err := ParseAxes([]string{"train.learning_rate=1e-3, 3e-3", `data.paths=["a","b"],["c"]`, `sample.prompt="x,y",z`})
	want := []Axis{{"train.learning_rate", []string{"1e-3", "3e-3"}}, {"data.paths", []string{`["a","b"]`, `["c"]`}}, {"sample.prompt", []string{`"x,y"`, "z"}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	cells, err := Cells(got)
	if err != nil || len(cells) != 8 || !slices.Equal(cells[1], []string{"1e-3", `["a","b"]`, "z"}) {
		t.Errorf("%q, %v", cells, err)
	}
	for _, text := range []string{"", "a", "a=", "=1", "a=1,,2", "a=1,1"} {
		if _, err := ParseAxes([]string{text}); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ParseAxes([]string{"a=1", "a=2"}); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "two axes of a") {
		t.Error(err)
	}
	long := Axis{Key: "a"}
	for i := range 101 {
		long.Values = append(long.Values, fmt.Sprint(i))
	}
	if _, err := Cells([]Axis{long, long}); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}

func TestMeanError(t *testing.T) {
	if mean, e, n := MeanError([]float64{1, 2, 6}); mean != 3 || math.Abs(e-math.Sqrt(14.0/6)) > 1e-15 || n != 3 {
		t.Errorf("%g ± %g of %d", mean, e, n)
	}
	if mean, e, _ := MeanError([]float64{4}); mean != 4 || !math.IsNaN(e) {
		t.Errorf("%g ± %g", mean, e)
	}
}

// TestRunGoesOn: a sweep that was interrupted makes only the points that are left, and one more value only its own.
func TestRunGoesOn(t *testing.T) {
	store, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	made := []string{}
	jobs := func(stop int, names ...string) (all []job) {
		for i, n := range names {
			all = append(all, job{cell: i, label: n, folder: n, key: Key("x", n), do: func(context.Context) (Outcome, error) {
				if len(made) == stop {
					return Outcome{}, shell.ErrInterrupted
				}
				made = append(made, n)
				return Outcome{Values: []Value{{"loss", float64(len(n))}}}, nil
			}})
		}
		return all
	}
	if _, err := run(context.Background(), store, jobs(2, "a", "bb", "ccc"), io.Discard); !errors.Is(err, shell.ErrInterrupted) || !strings.Contains(err.Error(), "the same command goes on") {
		t.Fatal(err)
	}
	var log bytes.Buffer
	got, err := run(context.Background(), store, jobs(-1, "a", "dddd", "bb", "ccc"), &log)
	if err != nil || !slices.Equal(made, []string{"a", "bb", "dddd", "ccc"}) {
		t.Errorf("%v, made %q", err, made)
	}
	if x, _ := got[1].Value("loss"); x != 4 || got[3].Folder != "ccc" || !strings.Contains(log.String(), "2 of 4 points are there already") {
		t.Errorf("%+v\n%s", got, &log)
	}
	if _, err := run(context.Background(), store, []job{{label: "e", key: "e", do: func(context.Context) (Outcome, error) { return Outcome{}, errors.New("no room") }}}, io.Discard); err == nil || err.Error() != "e: no room" {
		t.Error(err)
	}
}

// sizes is a sweep of compressions by two methods.
func sizes(falling bool) *Report {
	axes := []Axis{{"compress.method", []string{"a", "b"}}, {"compress.ratio", []string{"1", "2"}}}
	cells, _ := Cells(axes)
	var jobs []job
	for i := range cells {
		jobs = append(jobs, job{cell: i})
	}
	point := func(mb, loss float64) Outcome {
		return Outcome{Values: []Value{{"loss", loss}, {megabytes, mb}, {parentMB, 10}, {parentLoss, 1}}}
	}
	return report(axes, cells, jobs, []Outcome{point(4, 2), point(2, 3), point(4, 1.5), {Failed: "too small"}}, []string{"loss", megabytes}, falling)
}

func TestReport(t *testing.T) {
	r := sizes(true)
	if f := r.Frontier(); !slices.Equal(f, []int{1, 2}) || r.Best != 2 {
		t.Errorf("frontier %v, best %d", f, r.Best)
	}
	if r := sizes(false); r.Best != 1 || !slices.Equal(r.Frontier(), []int{1}) {
		t.Errorf("more is better: frontier %v, best %d", r.Frontier(), r.Best)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	want := `| method | ratio | loss   | MB | seconds |                   |
|--------|-------|--------|----|---------|-------------------|
| a      | 1     | 2      | 4  | 0       |                   |
| a      | 2     | 3      | 2  | 0       |                   |
| b      | 1     | 1.5000 | 4  | 0       | best              |
| b      | 2     | –      | –  | 0       | 1 of 1: too small |
`
	if table.String() != want {
		t.Errorf("%s\nwant\n%s", &table, want)
	}
	seeds := Row{Outcomes: []Outcome{{Values: []Value{{"loss", 1}}}, {Values: []Value{{"loss", 2}}}}}
	if text := seeds.text("loss"); text != "1.5000 ± 0.5000" {
		t.Error(text)
	}
}

// TestFrontierPicture: the picture is well-formed, has a line for each method that was measured, and marks the parent.
func TestFrontierPicture(t *testing.T) {
	var b bytes.Buffer
	if err := sizes(true).WriteFrontier(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for d := xml.NewDecoder(&b); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for what, n := range map[string]int{">a</text>": 1, ">b</text>": 1, "the model itself": 1, "<circle": 3, "NaN": 0, "Inf": 0} {
		if got := strings.Count(text, what); got != n {
			t.Errorf("%q %d times, want %d", what, got, n)
		}
	}
	if err := (&Report{Columns: []string{"loss"}, Rows: []Row{{}}}).WriteFrontier(io.Discard); err == nil {
		t.Error("a picture of nothing")
	}
}

func TestFolders(t *testing.T) {
	if got := folder("learning_rate=1e-3, paths=[\"a/b\"]"); got != "learning_rate=1e-3_paths=__a_b__" {
		t.Error(got)
	}
	if err := distinct([]job{{label: "x", folder: "f"}, {label: "y", folder: "f"}}); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}
