package measure

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}, {[]float64{8, 1, 2, 4}, 3}} {
		before := fmt.Sprint(c.x)
		if got := Median(c.x); got != c.want || fmt.Sprint(c.x) != before {
			t.Errorf("Median(%s) = %g, want %g and the values as they were", before, got, c.want)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("of none: %g, want NaN", got)
	}
}

// TestMemory: the peak is at least what is held, and grows with an allocation.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	before := PeakBytes()
	x := make([]byte, 64<<20)
	for i := range x {
		x[i] = 1
	}
	if held, peak := ResidentBytes(), PeakBytes(); held < 64<<20 || peak < held || peak < before {
		t.Errorf("%d bytes held, peak %d after %d", held, peak, before)
	}
	runtime.KeepAlive(x)
}

// TestMain makes this program a lane if it is asked to be one.
func TestMain(m *testing.M) {
	if os.Getenv("LANE") == "" {
		os.Exit(m.Run())
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case `{"cmd":"die"}`:
			fmt.Fprintln(os.Stderr, strings.Repeat("x", 5000)+"out of luck")
			os.Exit(1)
		case `{"cmd":"babble"}`:
			fmt.Println("not JSON")
		default:
			fmt.Printf("{\"n\": %d}\n", len(in.Text()))
		}
	}
}

// TestLane: answers come in order; a process that ends or babbles is an error that shows the end of what it said.
func TestLane(t *testing.T) {
	type request struct {
		Cmd string `json:"cmd"`
	}
	lane := func() *Lane {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "LANE=1")
		l, err := Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.End)
		return l
	}
	l := lane()
	for _, word := range []string{"a", "abc"} {
		var answer struct{ N int }
		if err := l.Ask(request{word}, &answer); err != nil || answer.N != len(`{"cmd":""}`)+len(word) {
			t.Errorf("%s: %+v, %v", word, answer, err)
		}
	}
	var answer struct{ N int }
	if err := l.Ask(request{"babble"}, &answer); err == nil || !strings.HasPrefix(err.Error(), `answered "not JSON": `) {
		t.Errorf("of what is no JSON: %v", err)
	}
	if err := l.Ask(request{"die"}, &answer); err == nil || !strings.HasPrefix(err.Error(), "ended: ") || !strings.HasSuffix(err.Error(), "out of luck") || len(err.Error()) > 2100 {
		t.Errorf("of an ended process: %.200v", err)
	}
}
