package metrics

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestCSVGrowsColumns(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, 0,
		trainRecord(1, 2),
		Record{2, KindTrain, []Value{{"sparsity", 0.97}, {"loss", 1.5}, {"rank", 16}}},
		trainRecord(3, 1),
		Record{4, KindEval, []Value{{"validation_accuracy", 0.5}, {"sparsity", 0.96}}},
	)
	want := `step,kind,loss,validation_loss,perplexity,learning_rate,grad_norm,tokens,tokens_per_second,sparsity,rank,validation_accuracy
1,train,2,,,0.0003,,2048,,,,
2,train,1.5,,,,,,,0.97,16,
3,train,1,,,0.0003,,6144,,,,
4,eval,,,,,,,,0.96,,0.5
`
	if diff := cmp.Diff(want, readFile(t, dir, "metrics.csv")); diff != "" {
		t.Errorf("metrics.csv (-want +got):\n%s", diff)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".metrics*")); left != nil {
		t.Errorf("temporary files were left: %v", left)
	}
}

func TestReadMetrics(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "metrics.csv")
	want := []Record{
		{0, KindEval, []Value{{"validation_loss", math.Inf(1)}, {"perplexity", math.NaN()}}},
		{1, KindTrain, []Value{{"loss", 2.3456788063049316}, {"learning_rate", 1e-9}, {"tokens", 1e15}}},
		{1, KindTrain, []Value{{"loss", -0.5}, {"accuracy", 0.25}}},
	}
	writeRun(t, dir, 0, want...)
	appendFile(t, path, "2,train,1.5")
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("ReadMetrics (-written +read):\n%s", diff)
	}

	appendFile(t, path, "\n")
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "metrics.csv:5:") {
		t.Errorf("ReadMetrics of a short row = %v, want an error at line 5", err)
	}
	if _, err := Read(filepath.Join(dir, "none.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadMetrics of no file = %v, want that it does not exist", err)
	}
}
