package progress

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// stopped is where every clock of a test begins.
func stopped() time.Time { return time.Unix(1_700_000_000, 250_000_000) }

// clock is a time that tests move by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func TestProgressPlainLines(t *testing.T) {
	cases := []struct {
		name         string
		total, start int
		pace         time.Duration
		stop         int // last step that runs
		want         []string
	}{
		{"each tenth of a short run", 40, 0, time.Second, 40, []string{
			"step 1/40  loss 1.0000  12.3k tok/s  0:39 left",
			"step 4/40  loss 0.2500  12.3k tok/s  0:36 left",
			"step 8/40  loss 0.1250  12.3k tok/s  0:32 left",
			"step 12/40  loss 0.0833  12.3k tok/s  0:28 left",
			"step 16/40  loss 0.0625  12.3k tok/s  0:24 left",
			"step 20/40  loss 0.0500  12.3k tok/s  0:20 left",
			"step 24/40  loss 0.0417  12.3k tok/s  0:16 left",
			"step 28/40  loss 0.0357  12.3k tok/s  0:12 left",
			"step 32/40  loss 0.0312  12.3k tok/s  0:08 left",
			"step 36/40  loss 0.0278  12.3k tok/s  0:04 left",
			"step 40/40  loss 0.0250  12.3k tok/s  in 0:40",
		}},
		{"every half minute of a long run, and where it stops", 1_000_000, 0, 10 * time.Second, 5, []string{
			"step 1/1000000  loss 1.0000  12.3k tok/s  115d 17h left",
			"step 4/1000000  loss 0.2500  12.3k tok/s  115d 17h left",
			"step 5/1000000  loss 0.2000  12.3k tok/s  115d 17h left",
		}},
		{"resumed", 40, 35, time.Second, 40, []string{
			"step 36/40  loss 0.0278  12.3k tok/s  0:04 left",
			"step 40/40  loss 0.0250  12.3k tok/s  in 0:05",
		}},
		{"no step", 40, 10, time.Second, 10, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			time := &clock{stopped()}
			p := newProgress(&out, c.total, c.start, time.now)
			for step := c.start + 1; step <= c.stop; step++ {
				time.advance(c.pace)
				p.Step(step, 1/float64(step), 12345)
			}
			p.Close()
			p.Close()
			if diff := cmp.Diff(c.want, splitLines(out.String())); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func splitLines(s string) (lines []string) {
	for line := range strings.Lines(s) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

func TestProgressBar(t *testing.T) {
	var out bytes.Buffer
	time := &clock{stopped()}
	p := newProgress(&out, 200, 0, time.now)
	p.width = func() int { return 76 }
	p.Message("reading the corpus")
	for step := 1; step <= 100; step++ {
		time.advance(50 * 1e6) // twice as fast as the bar paints
		p.Step(step, 2.5, 900)
		if step == 50 {
			p.Message("step %d: validation loss %.2f", step, 2.25)
		}
	}
	if paints := strings.Count(out.String(), "tok/s"); paints < 50 || paints > 52 {
		t.Errorf("100 steps of 50 ms painted %d times, want 50 and once more for the message", paints)
	}
	p.Close()
	p.Message("saved")
	want := []string{
		"reading the corpus",
		"step 50: validation loss 2.25",
		"step 100/200  50% " + strings.Repeat("━", 20) + "  loss 2.5000  900 tok/s  0:05 left",
		"saved",
	}
	if diff := cmp.Diff(want, screen(out.String())); diff != "" {
		t.Errorf("screen (-want +got):\n%s", diff)
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9]*m")

// screen is what a terminal shows in the end: a carriage return goes back to the start of the line, new text replaces
// the old and ESC [ K erases what is left of it.
func screen(written string) (lines []string) {
	for line := range strings.Lines(escapes.ReplaceAllString(written, "")) {
		var row []rune
		at := 0
		for _, r := range strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\x1b[K", "\x00") {
			switch r {
			case '\r':
				at = 0
			case 0:
				row = row[:at]
			default:
				row = append(row[:at], append([]rune{r}, row[min(at+1, len(row)):]...)...)
				at++
			}
		}
		lines = append(lines, string(row))
	}
	return lines
}

func TestProgressBarFits(t *testing.T) {
	cases := []struct {
		name    string
		columns int
		ascii   bool
		want    string
	}{
		{"wide", 200, false, "step  84/200  42% " + strings.Repeat("━", 40) + "  loss 2.3456  12.3k tok/s  0:58 left"},
		{"no line drawing", 200, true, "step  84/200  42% " + strings.Repeat("=", 16) + strings.Repeat("-", 24) + "  loss 2.3456  12.3k tok/s  0:58 left"},
		{"short bar", 63, false, "step  84/200  42% " + strings.Repeat("━", 8) + "  loss 2.3456  12.3k tok/s  0:58 left"},
		{"no bar", 62, false, "step  84/200  42%  loss 2.3456  12.3k tok/s  0:58 left"},
		{"no time", 50, false, "step  84/200  42%  loss 2.3456  12.3k tok/s"},
		{"no speed", 40, false, "step  84/200  42%  loss 2.3456"},
		{"no loss", 20, false, "step  84/200  42%"},
		{"hardly anything", 8, false, "step  84"},
		{"nothing", -1, false, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			time := &clock{stopped()}
			p := newProgress(&bytes.Buffer{}, 200, 83, time.now)
			p.ascii = c.ascii
			time.advance(5e8)
			p.Step(84, 2.3456, 12345)
			line := escapes.ReplaceAllString(p.barLine(time.at, c.columns), "")
			if line != c.want {
				t.Errorf("in %d columns:\ngot  %q\nwant %q", c.columns, line, c.want)
			}
			if n := utf8.RuneCountInString(line); n > max(0, c.columns) {
				t.Errorf("the line has %d columns, want at most %d", n, c.columns)
			}
		})
	}
}

func TestProgressTimeLeft(t *testing.T) {
	time := &clock{stopped()}
	p := newProgress(&bytes.Buffer{}, 1000, 0, time.now)
	if left, known := p.left(time.at); known {
		t.Errorf("before any step %v are left, want unknown", left)
	}
	time.advance(60e9) // building the graph
	p.Step(1, 1, 1)
	time.advance(1e9)
	p.Step(2, 1, 1)
	if left, _ := p.left(time.at); left.Seconds() != 998 {
		t.Errorf("after two steps %v are left, want 998 s: the start does not count any more", left)
	}
	for step := 3; step <= 400; step++ {
		time.advance(2e9) // the machine became slower
		p.Step(step, 1, 1)
	}
	if left, _ := p.left(time.at); left.Seconds() != 1200 {
		t.Errorf("after 400 steps %v are left, want 1200 s: the pace of the window", left)
	}
	if len(p.marks) != rateWindow+1 {
		t.Errorf("%d marks are kept, want %d", len(p.marks), rateWindow+1)
	}
	time.advance(3e9)
	if left, _ := p.left(time.at); left.Seconds() != 1197 {
		t.Errorf("three seconds later %v are left, want 1197 s", left)
	}
}

func TestProgressNoTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := New(file, 1, 0)
	p.Message("a message\n")
	p.Step(1, math.NaN(), 0)
	p.Close()
	got, err := os.ReadFile(file.Name())
	if want := "a message\nstep 1/1  loss NaN  in 0:00\n"; err != nil || string(got) != want {
		t.Errorf("a file got %q, want %q", got, want)
	}
}

func TestUnicodeTerminal(t *testing.T) {
	cases := []struct {
		name, goos string
		env        map[string]string
		want       bool
	}{
		{"UTF-8 locale", "linux", map[string]string{"LANG": "en_GB.UTF-8"}, true},
		{"lower case", "linux", map[string]string{"LANG": "C.utf8"}, true},
		{"C locale", "linux", map[string]string{"LANG": "C"}, false},
		{"no locale", "linux", nil, false},
		{"LC_ALL wins", "linux", map[string]string{"LC_ALL": "C", "LANG": "en_GB.UTF-8"}, false},
		{"macOS without a locale", "darwin", nil, true},
		{"Windows", "windows", nil, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := unicodeTerminal(c.goos, func(name string) string { return c.env[name] })
			if got != c.want {
				t.Errorf("unicodeTerminal(%s, %v) = %v, want %v", c.goos, c.env, got, c.want)
			}
		})
	}
}

func TestFormatDuration(t *testing.T) {
	cases := map[time.Duration]string{
		0: "0:00", 9499 * time.Millisecond: "0:09", 3599 * time.Second: "59:59", time.Hour: "1:00:00",
		86399 * time.Second: "23:59:59", 51 * time.Hour: "2d 03h",
	}
	for d, want := range cases {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

// TestProgressBytes: of a download the line tells megabytes in place of steps, and has no loss.
func TestProgressBytes(t *testing.T) {
	var out bytes.Buffer
	time := &clock{stopped()}
	p := newProgress(&out, 40_000_000, 0, time.now)
	p.Bytes("fetched")
	for step := 20_000_000; step <= 40_000_000; step += 20_000_000 {
		time.advance(2e9)
		p.Step(step, 0, 1e7)
	}
	p.Close()
	want := "fetched 20.0/40.0 MB  10.0M B/s  0:02 left\nfetched 40.0/40.0 MB  10.0M B/s  in 0:04\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
