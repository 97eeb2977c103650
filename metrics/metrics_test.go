package metrics

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stopped is a clock that stands still, so that files can be compared whole.
func stopped() time.Time { return time.Unix(1_700_000_000, 250_000_000) }

func trainRecord(step int, loss float64) Record {
	return Record{step, KindTrain, []Value{{"loss", loss}, {"learning_rate", 3e-4}, {"tokens", float64(2048 * step)}}}
}

func evalRecord(step int, loss float64) Record {
	return Record{step, KindEval, []Value{{"validation_loss", loss}, {"perplexity", math.Exp(loss)}}}
}

// writeRun writes records to dir as one process would, and returns without flushing anything more.
func writeRun(t *testing.T, dir string, resumeStep int, records ...Record) {
	t.Helper()
	m, err := open(dir, resumeStep, stopped)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := m.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func appendFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(readFile(t, path)+text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestMetricsFiles(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, 0,
		evalRecord(0, 0),
		trainRecord(1, 2.5),
		Record{2, KindTrain, []Value{{"loss", math.NaN()}, {"grad_norm", math.Inf(1)}, {"learning_rate", 1e-7}}},
		Record{2, KindEval, []Value{{"validation_loss", math.Inf(-1)}, {"perplexity", 1e300}}},
	)
	wantCSV := `step,kind,loss,validation_loss,perplexity,learning_rate,grad_norm,tokens,tokens_per_second
0,eval,,0,1,,,,
1,train,2.5,,,0.0003,,2048,
2,train,NaN,,,1e-07,Infinity,,
2,eval,,-Infinity,1e+300,,,,
`
	if diff := cmp.Diff(wantCSV, readFile(t, dir, "metrics.csv")); diff != "" {
		t.Errorf("metrics.csv (-want +got):\n%s", diff)
	}
	wantLog := `{"step":0,"kind":"eval","time":"2023-11-14T22:13:20.250Z","validation_loss":0,"perplexity":1}
{"step":1,"kind":"train","time":"2023-11-14T22:13:20.250Z","loss":2.5,"learning_rate":0.0003,"tokens":2048}
{"step":2,"kind":"train","time":"2023-11-14T22:13:20.250Z","loss":"NaN","grad_norm":"Infinity","learning_rate":1e-07}
{"step":2,"kind":"eval","time":"2023-11-14T22:13:20.250Z","validation_loss":"-Infinity","perplexity":1e+300}
`
	log := readFile(t, dir, "log.jsonl")
	if diff := cmp.Diff(wantLog, log); diff != "" {
		t.Errorf("log.jsonl (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log.jsonl has a line that is not JSON: %s", line)
		}
	}
}

func TestResumeEqualsUninterrupted(t *testing.T) {
	all := []Record{trainRecord(1, 4), trainRecord(2, 3.5), evalRecord(2, 3.6), trainRecord(3, 3), trainRecord(4, 2.5), evalRecord(4, 2.7)}
	reference := t.TempDir()
	writeRun(t, reference, 0, all...)
	cases := []struct {
		name   string
		killed func(t *testing.T, dir string) // what the first process leaves behind
		resume int
		rest   []Record
	}{
		{"killed at the checkpoint", func(t *testing.T, dir string) {
			writeRun(t, dir, 0, all[:3]...)
		}, 2, all[3:]},
		{"killed two records later", func(t *testing.T, dir string) {
			writeRun(t, dir, 0, append(all[:3:3], trainRecord(3, 99), trainRecord(4, 99))...)
		}, 2, all[3:]},
		{"killed inside a line", func(t *testing.T, dir string) {
			writeRun(t, dir, 0, all[:3]...)
			appendFile(t, filepath.Join(dir, "metrics.csv"), "3,train,3")
			appendFile(t, filepath.Join(dir, "log.jsonl"), `{"step":3,"ki`)
		}, 2, all[3:]},
		{"killed inside the last digits of a later record", func(t *testing.T, dir string) {
			writeRun(t, dir, 0, append(all[:3:3], trainRecord(3, 99))...)
			appendFile(t, filepath.Join(dir, "metrics.csv"), "4,train,2.5,,,0.0003,,8192,123")
			appendFile(t, filepath.Join(dir, "log.jsonl"), `{"step":4,"kind":"train","loss":2.5}`)
		}, 2, all[3:]},
		{"killed before the first checkpoint", func(t *testing.T, dir string) {
			writeRun(t, dir, 0, trainRecord(1, 99))
		}, 0, all},
		{"killed inside the header", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "metrics.csv"), []byte("step,ki"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, 0, all},
		{"resumed at the end", func(t *testing.T, dir string) {
			writeRun(t, dir, 0, all...)
		}, 4, nil},
		{"killed twice", func(t *testing.T, dir string) {
			writeRun(t, dir, 0, append(all[:1:1], trainRecord(2, 99))...)
			writeRun(t, dir, 1, append(all[1:3:3], trainRecord(3, 99))...)
		}, 2, all[3:]},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.killed(t, dir)
			writeRun(t, dir, c.resume, c.rest...)
			for _, name := range []string{"metrics.csv", "log.jsonl"} {
				if diff := cmp.Diff(readFile(t, reference, name), readFile(t, dir, name)); diff != "" {
					t.Errorf("%s (-uninterrupted +resumed):\n%s", name, diff)
				}
			}
		})
	}
}

func TestResumeRefusesBrokenFiles(t *testing.T) {
	cases := []struct{ name, file, content, want string }{
		{"foreign header", "metrics.csv", "epoch,loss\n1,2\n", "metrics.csv:1: the header is \"epoch,loss\""},
		{"missing cell", "metrics.csv", "step,kind,loss\n1,train\n", "metrics.csv:2: the row is \"1,train\"; want the header's 3 cells"},
		{"step is no number", "metrics.csv", "step,kind,loss\n1,train,2\nx,train,2\n", "metrics.csv:3: the step is \"x\""},
		{"loss is no number", "metrics.csv", "step,kind,loss\n1,train,low\n", "metrics.csv:2: loss is \"low\""},
		{"empty line", "metrics.csv", "step,kind,loss\n\n", "metrics.csv:2:"},
		{"no JSON", "log.jsonl", "{\"step\":1}\nhello\n", "log.jsonl:2:"},
		{"no step", "log.jsonl", "{\"loss\":1}\n", "log.jsonl:1: no \"step\""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, c.file)
			if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, 5)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open over %q = %v, want an error with %q", c.content, err, c.want)
			}
			if got := readFile(t, path); got != c.content {
				t.Errorf("the refused file was changed to %q", got)
			}
		})
	}
}

func TestMetricsRefusesRecords(t *testing.T) {
	cases := []struct {
		name string
		r    Record
		want string
	}{
		{"unknown kind", Record{Step: 3, Kind: "test"}, `kind is "test"; want train or eval`},
		{"step back", trainRecord(2, 1), "it follows step 3"},
		{"no name", Record{3, KindTrain, []Value{{"", 1}}}, `value name ""`},
		{"name of the frame", Record{3, KindTrain, []Value{{"step", 1}}}, `value name "step"`},
		{"name to be quoted", Record{3, KindTrain, []Value{{`a,"b`, 1}}}, `value name "a,\"b"`},
		{"name twice", Record{3, KindTrain, []Value{{"loss", 1}, {"loss", 1}}}, `value "loss" is given twice`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			m, err := Open(dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if err := m.Write(trainRecord(3, 1)); err != nil {
				t.Fatal(err)
			}
			before := readFile(t, dir, "metrics.csv")
			err = m.Write(c.r)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Write(%+v) = %v, want an error with %q", c.r, err, c.want)
			}
			if got := readFile(t, dir, "metrics.csv"); got != before {
				t.Errorf("the refused record was written: %q", got)
			}
		})
	}
}

func TestMetricsFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full on this system")
	}
	full := func(t *testing.T, name string) (dir string) {
		t.Helper()
		dir = t.TempDir()
		if err := os.Symlink("/dev/full", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	check := func(t *testing.T, err error, name string) {
		t.Helper()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want a full disk at %s", err, name)
		}
	}
	t.Run("metrics.csv", func(t *testing.T) {
		_, err := Open(full(t, "metrics.csv"), 0) // the header does not fit
		check(t, err, "metrics.csv")
	})
	t.Run("log.jsonl", func(t *testing.T) {
		dir := full(t, "log.jsonl")
		m, err := Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		check(t, m.Write(trainRecord(1, 1)), "log.jsonl")
		after := readFile(t, dir, "metrics.csv")
		check(t, m.Write(trainRecord(2, 1)), "log.jsonl")
		if got := readFile(t, dir, "metrics.csv"); got != after {
			t.Errorf("a record was written after a failure: %q", got)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestOpenMissingFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	if _, err := Open(dir, 0); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open(%q) = %v, want that it does not exist", dir, err)
	}
}
