package progress

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"sparrow/metrics"
)

const (
	paintEvery = 100 * time.Millisecond // a bar: often enough to look alive, rarely enough to cost nothing
	lineEvery  = 30 * time.Second       // plain lines: a log of a long run stays readable
	lineShare  = 10                     // plain lines: also at each tenth of the run, so a short one shows its course
	rateWindow = 128                    // steps over which the time left is estimated
)

// Progress tells a person how training goes. On a terminal it is one line that is painted over:
//
//	step  84/200  42% ━━━━━━━━━━━━━━━━━━━━━━━  loss 2.3456  12.3k tok/s  0:09 left
//
// When the writer is no terminal, or NO_COLOR is set (https://no-color.org), or TERM is dumb, it is the same
// without bar or colour as a plain line at the first and last step, each tenth of the run and every 30 seconds.
// The time left is the remaining steps at the pace of the last 128, pauses for evaluation included. What the
// writer reports is ignored: a closed terminal must not stop a run. It may be used from several goroutines.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	width func() int // columns of the terminal; nil means plain lines
	now   func() time.Time
	ascii bool // the terminal's character set has no line drawing

	total, start     int
	step             int
	loss, rate       float64
	plain            bool   // there is no loss
	what             string // whose bytes the steps are; "": they are steps
	unit             string // of the rate
	began, lastShown time.Time
	shownStep        int
	painted          bool // the cursor stands behind a painted line
	closed           bool
	marks            []mark // the last rateWindow+1 steps
}

// mark is the time at which a number of steps was done.
type mark struct {
	step int
	at   time.Time
}

// New starts the progress of a run of total steps, of which start are done already. Nothing is written
// before the first step or message.
func New(w io.Writer, total, start int) *Progress {
	p := newProgress(w, total, start, time.Now)
	file, isFile := w.(*os.File)
	if isFile && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		p.width = func() int {
			columns, _, err := term.GetSize(int(file.Fd()))
			if err != nil || columns <= 0 {
				return 80
			}
			return columns
		}
		p.ascii = !unicodeTerminal(runtime.GOOS, os.Getenv)
	}
	return p
}

func newProgress(w io.Writer, total, start int, now func() time.Time) *Progress {
	began := now()
	return &Progress{w: w, now: now, total: total, start: start, step: start, shownStep: start - 1,
		loss: math.NaN(), unit: "tok/s", began: began, marks: []mark{{start, began}}}
}

// unicodeTerminal reads the character set from the locale as POSIX does. macOS and Windows terminals take UTF-8 whatever
// the environment says.
func unicodeTerminal(goos string, getenv func(string) string) bool {
	if goos == "darwin" || goos == "windows" {
		return true
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

// Counts sets what Step's rate counts: "tokens", as at the start, "examples", or something else, which is written out.
func (p *Progress) Counts(unit string) {
	switch unit {
	case "tokens":
		p.unit = "tok/s"
	case "examples":
		p.unit = "ex/s"
	default:
		p.unit = unit + "/s"
	}
}

// Plain leaves out the loss, which there is none of.
func (p *Progress) Plain() { p.plain = true }

// Bytes says that steps are bytes of something, of which there is no loss.
func (p *Progress) Bytes(what string) { p.what, p.plain, p.unit = what, true, "B/s" }

// head is what a line begins with: how much is done, of digits places on a bar.
func (p *Progress) head(digits int) string {
	if p.what != "" {
		return fmt.Sprintf("%s %.1f/%.1f MB", p.what, float64(p.step)/1e6, float64(p.total)/1e6)
	}
	return fmt.Sprintf("step %*d/%d", digits, p.step, p.total)
}

// Step shows that step steps are done, with the loss of the last and the rate at which it went, in tokens or examples a
// second. A rate of 0 or less is not shown.
func (p *Progress) Step(step int, loss, rate float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.step, p.loss, p.rate = step, loss, rate
	p.marks = append(p.marks, mark{step, now})
	// The first mark includes building the graph: it only serves until two steps are done.
	if len(p.marks) > rateWindow+1 || len(p.marks) == 3 && p.marks[0].step == p.start && p.marks[0].at.Equal(p.began) {
		p.marks = p.marks[1:]
	}
	if p.width != nil {
		if step >= p.total || now.Sub(p.lastShown) >= paintEvery {
			p.paint(now)
		}
		return
	}
	tenth := step*lineShare/max(p.total, 1) != p.shownStep*lineShare/max(p.total, 1)
	if step >= p.total || p.shownStep < p.start || tenth || now.Sub(p.lastShown) >= lineEvery {
		p.printLine(now)
	}
}

// Message prints a line of its own above the bar, or among the plain lines.
func (p *Progress) Message(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	if !p.painted {
		fmt.Fprintln(p.w, text)
		return
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s\n", text)
	p.paint(p.now())
}

// Close shows the last step, if it is not on the screen yet, and leaves the cursor on a new line. Messages may follow.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	if p.width == nil {
		if p.step > p.start && p.shownStep != p.step {
			p.printLine(p.now())
		}
		return
	}
	if p.painted {
		p.paint(p.now())
		fmt.Fprintln(p.w)
		p.painted = false
	}
}

func (p *Progress) printLine(now time.Time) {
	fields := append([]string{p.head(0)}, p.fields(now)...)
	fmt.Fprintln(p.w, strings.Join(fields, "  "))
	p.shownStep, p.lastShown = p.step, now
}

func (p *Progress) paint(now time.Time) {
	// A full last column would wrap on some terminals, and so would the ^C that they echo behind the line.
	line := p.barLine(now, p.width()-1-len("^C"))
	// Erased behind the text, not before it: a line that is first cleared flickers.
	fmt.Fprint(p.w, "\r"+line+"\x1b[K")
	p.shownStep, p.lastShown, p.painted = p.step, now, true
}

// fields are what both forms show behind the step, the most important first.
func (p *Progress) fields(now time.Time) []string {
	fields := []string{fmt.Sprintf("loss %.4f", p.loss)}
	switch {
	case p.plain:
		fields = nil
	case math.IsNaN(p.loss) || math.Abs(p.loss) >= 1e6:
		fields[0] = fmt.Sprintf("loss %.4g", p.loss)
	}
	if p.rate > 0 {
		fields = append(fields, metrics.Short(p.rate)+" "+p.unit)
	}
	if p.step >= p.total {
		return append(fields, "in "+formatDuration(now.Sub(p.began)))
	}
	if left, known := p.left(now); known {
		fields = append(fields, formatDuration(left)+" left")
	}
	return fields
}

// left estimates the time to the last step from the pace over the window.
func (p *Progress) left(now time.Time) (time.Duration, bool) {
	first, last := p.marks[0], p.marks[len(p.marks)-1]
	if last.step <= first.step {
		return 0, false
	}
	pace := last.at.Sub(first.at).Seconds() / float64(last.step-first.step)
	seconds := pace*float64(p.total-last.step) - now.Sub(last.at).Seconds()
	return time.Duration(max(0, seconds) * float64(time.Second)), true
}

// barLine fits the line into columns. A narrow terminal loses the bar first, then the fields from the last to the first.
func (p *Progress) barLine(now time.Time, columns int) string {
	const leastBar, mostBar = 8, 40
	share := min(1, max(0, float64(p.step)/float64(max(p.total, 1))))
	head := fmt.Sprintf("%s %3d%%", p.head(len(fmt.Sprint(p.total))), int(100*share))
	fields := p.fields(now)
	tail := strings.Join(fields, "  ")
	if room := columns - len(head) - 1 - 2 - len(tail); room >= leastBar {
		return head + " " + p.bar(share, min(room, mostBar)) + "  " + tail
	}
	for len(fields) > 0 && len(head)+2+len(tail) > columns {
		fields = fields[:len(fields)-1]
		tail = strings.Join(fields, "  ")
	}
	if len(fields) > 0 {
		return head + "  " + tail
	}
	return head[:max(0, min(len(head), columns))]
}

// bar draws width columns, the done share of them in cyan and the rest in grey.
func (p *Progress) bar(share float64, width int) string {
	done := int(share * float64(width))
	if p.ascii {
		return "\x1b[36m" + strings.Repeat("=", done) + "\x1b[90m" + strings.Repeat("-", width-done) + "\x1b[0m"
	}
	return "\x1b[36m" + strings.Repeat("━", done) + "\x1b[90m" + strings.Repeat("━", width-done) + "\x1b[0m"
}

// formatDuration writes m:ss, h:mm:ss or, from a day on, 2d 03h.
func formatDuration(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	switch {
	case s < 3600:
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%dd %02dh", s/86400, s/3600%24)
}
