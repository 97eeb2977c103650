package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sparrow/internal/shell"
)

// class is what a command did with an input.
type class string

const (
	fine    class = "fine"    // exit code 0: the change did not matter, or is a legal one
	refused class = "refused" // a message and an exit code that says so
	panics  class = "panic"
	hangs   class = "hang"
	grows   class = "memory"
	number  class = "NaN"    // exit code 0 and a number that is none
	silent  class = "silent" // an error without a message
	strange class = "code"   // an exit code that means nothing
	long    class = "echo"   // a line that repeats more of the input than anyone reads
	broken  class = "broken" // the attack itself went wrong
)

var classes = []class{fine, refused, panics, hangs, grows, number, silent, strange, long, broken}

func (c class) bad() bool { return c != fine && c != refused }

// limits are what one command may take.
type limits struct {
	time   time.Duration
	memory int64 // bytes that are resident
}

// exitCodes are those that the commands document.
var exitCodes = []int{shell.ExitOK, shell.ExitFailed, shell.ExitUsage, shell.ExitBroken, shell.ExitInterrupted}

// longestLine is what a line of a message may have: 200 characters of a value, the path and the sentence around it.
const longestLine = 1200

var (
	trace   = regexp.MustCompile(`(?m)^(goroutine \d+ |panic: |fatal error: |runtime: )`)
	notANum = regexp.MustCompile(`(?i)(^|[^a-z])[-+]?(nan|inf|infinity)([^a-z]|$)`)
)

// execute runs a command, its program first, in a folder.
func execute(ctx context.Context, l limits, bin, dir string, command []string) (class, string) {
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(bin, command[0]), command[1:]...)
	c.Dir = dir
	c.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		return broken, err.Error()
	}
	var grew atomic.Int64
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				if n := resident(c.Process.Pid); n > l.memory {
					grew.Store(n)
					_ = c.Process.Kill() // it may just have ended
					return
				}
			}
		}
	}()
	err := c.Wait()
	close(done)
	text := stdout.String() + stderr.String()
	if n := grew.Load(); n > 0 {
		return grows, fmt.Sprintf("%d MB resident\n%s", n>>20, text)
	}
	if ctx.Err() != nil {
		return hangs, fmt.Sprintf("more than %s\n%s", l.time, text)
	}
	return classify(c.ProcessState.ExitCode(), err, stdout.String(), stderr.String()), text
}

// classify judges what a command that ended by itself left.
func classify(code int, err error, stdout, stderr string) class {
	tooLong := slices.ContainsFunc(strings.Split(stderr, "\n"), func(line string) bool { return len(line) > longestLine })
	switch {
	case trace.MatchString(stderr) || code == 2 && strings.Contains(stderr, "goroutine "):
		return panics
	case !slices.Contains(exitCodes, code):
		return strange
	case err == nil && notANum.MatchString(stdout):
		return number
	case err != nil && strings.TrimSpace(stderr) == "":
		return silent
	case err != nil && tooLong:
		return long
	case err == nil:
		return fine
	}
	return refused
}

func indent(text string) string {
	const most = 3000
	if len(text) > most {
		text = text[:most] + "…"
	}
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
