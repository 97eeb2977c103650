package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
)

// profile trains for n steps and writes where the processor's time goes to a file.
func (w *worker) profile(n int, file string) (r reply, err error) {
	f, err := os.Create(file)
	if err != nil {
		return r, err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return r, err
	}
	r, err = w.step(n)
	pprof.StopCPUProfile()
	return r, err
}

// profileSeconds is about how long a profile runs: 100 samples a second.
const profileSeconds = 10

// profileRows is how many functions a profile lists.
const profileRows = 24

// products are the functions that matrix products run in: micro-kernels, packing and dot products.
var products = regexp.MustCompile(`^sparrow/kernel\.(micro|copyRows|copyStrip|transposeStrip|transposeF|transposeGo|dotF|bfloat16|pairRows|pairColumns|storeGo|roundGo|\(\*gemmOp\)|addSums|scatter)`)

// multiplying are those of them that do not move operands to where they are read.
var multiplying = regexp.MustCompile(`^sparrow/kernel\.(micro[A-Z]|dotF)`)

// profiled lists a step's time by function: matrix products, and what is beside them.
func (b *bench) profiled(name, train string) error {
	if b.peer != nil {
		return nil // it would take processors away
	}
	dir, err := os.MkdirTemp("", "profile")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	warm, err := b.ours.ask(request{"cmd": train, "steps": 3})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "cpu")
	steps := max(3, int(profileSeconds/slices.Min(warm.Seconds)))
	if _, err := b.ours.ask(request{"cmd": "profile", "steps": steps, "file": file}); err != nil {
		return err
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", "-unit=us", "-nodecount=1000", file).Output()
	if err != nil {
		return fmt.Errorf("bench: go tool pprof: %w", err)
	}
	functions := parseTop(string(out))
	var all, inProducts, packing float64
	for _, f := range functions {
		all += f.seconds
		if products.MatchString(f.name) {
			inProducts += f.seconds
			if !multiplying.MatchString(f.name) {
				packing += f.seconds
			}
		}
	}
	if all == 0 {
		return fmt.Errorf("bench: %s: the profile is empty", name)
	}
	per := 1 / float64(steps)
	b.emit(result{Name: name + "/profile", Threads: b.threads, Ours: all * per, InstructionSet: b.ours.isa, Unit: "s",
		Note: fmt.Sprintf("processor time of a step; matrix products %.4f s (%.1f%%), of which packing %.4f s; beside them %.4f s",
			inProducts*per, 100*inProducts/all, packing*per, (all-inProducts)*per)})
	rows := 0
	for _, f := range functions {
		if !products.MatchString(f.name) && rows < profileRows {
			b.emit(result{Name: name + "/profile/" + shortened(f.name), Threads: b.threads, Ours: f.seconds * per, InstructionSet: b.ours.isa, Unit: "s",
				Note: fmt.Sprintf("%.1f%%", 100*f.seconds/all)})
			rows++
		}
	}
	return nil
}

// shortened is a function without the module's name and type parameters.
func shortened(name string) string {
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "sparrow/"), "[")
	return name
}

// spent is the time in a function itself.
type spent struct {
	name    string
	seconds float64
}

// parseTop reads the table of pprof -top -unit=us, largest first.
func parseTop(text string) (list []spent) {
	_, rows, _ := strings.Cut(text, "cum%\n")
	for line := range strings.Lines(rows) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			continue
		}
		if us, err := strconv.ParseFloat(strings.TrimSuffix(fields[0], "us"), 64); err == nil && us > 0 {
			list = append(list, spent{strings.Join(fields[5:], " "), us / 1e6})
		}
	}
	return list
}
