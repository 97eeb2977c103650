package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patience is the longest that one command may take.
const patience = 5 * time.Minute

// A walk runs the pages of a checkout.
type walk struct {
	root string // of the module
	list bool   // commands and marks, running none
	out  io.Writer
}

// page runs the commands of a page in a fresh copy of the checkout and returns how many failed.
func (w *walk) page(ctx context.Context, page string) (failed int, err error) {
	all, err := readPage(w.root, page)
	if err != nil {
		return 0, err
	}
	dir := ""
	for _, b := range all {
		commands := b.commands()
		if dir == "" && !w.list && (len(commands) > 0 || b.Mark.File != "") {
			if dir, err = os.MkdirTemp("", "sparrow-walk-"); err != nil {
				return 0, err
			}
			defer os.RemoveAll(dir)
			if err := checkout(w.root, dir); err != nil {
				return 0, err
			}
		}
		if b.Mark.File != "" && !w.list {
			if err := os.WriteFile(filepath.Join(dir, b.Mark.File), []byte(b.Text), 0o644); err != nil {
				return 0, err
			}
		}
		for _, c := range commands {
			if ok, err := w.command(ctx, dir, c); err != nil {
				return 0, err
			} else if !ok {
				failed++
			}
		}
	}
	return failed, nil
}

// command runs a command in dir, prints how it went and says if it went well.
func (w *walk) command(ctx context.Context, dir string, c Command) (bool, error) {
	line, err := c.line(dir)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.where(), err)
	}
	mark := c.Block.Mark
	switch {
	case mark.Skip != "":
		fmt.Fprintf(w.out, "%s: skipped: %s\n    %s\n", c.where(), mark.Skip, line)
		return true, nil
	case w.list:
		kind := ""
		if mark.Short {
			kind = " short:"
		} else if mark.Output {
			kind = " output:"
		}
		fmt.Fprintf(w.out, "%s:%s %s\n", c.where(), kind, line)
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	run := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", line)
	run.Dir = dir
	// The same packages in every copy: paths in binaries would make each build them anew.
	run.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath -buildvcs=false", "NO_COLOR=1")
	run.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = &stdout, &stderr
	if err := run.Run(); err != nil {
		fmt.Fprintf(w.out, "%s: FAILED: %s: %v\n%s%s", c.where(), line, err, stdout.String(), stderr.String())
		return false, nil
	}
	compare := sameLabels
	if mark.Output {
		compare = sameOutput
	}
	if c.Shown != nil || mark.Output {
		if err := compare(c.Shown, stdout.String()); err != nil {
			fmt.Fprintf(w.out, "%s: FAILED: %s: %v\n", c.where(), line, err)
			return false, nil
		}
	}
	fmt.Fprintf(w.out, "%s: ok, %.1f s: %s\n", c.where(), time.Since(began).Seconds(), line)
	return true, nil
}

// line is what the shell runs: the command, made short if it is marked so.
func (c Command) line(dir string) (string, error) {
	if !c.Block.Mark.Short {
		return c.Text, nil
	}
	split, err := words(c.Text)
	if err != nil {
		return "", err
	}
	name, _ := program(split)
	var sets []string
	switch name {
	case "go run ./cmd/train run":
		sets = append([]string{"train.steps=2", "train.warmup_steps=0"}, c.Block.Mark.Sets...)
	case "go run ./cmd/compress run":
		if finetunes(dir, split) {
			sets = []string{"compress.finetune.steps=2", "compress.finetune.warmup_steps=0"}
		}
	}
	line := c.Text
	for _, set := range sets {
		line += " --set " + set
	}
	return line, nil
}

// finetunes says whether the config that a command names has a table of fine-tuning.
func finetunes(dir string, command []string) bool {
	for i, word := range command[:len(command)-1] {
		if word == "-c" || word == "--config" {
			text, err := os.ReadFile(filepath.Join(dir, command[i+1]))
			return err == nil && bytes.Contains(text, []byte("[compress.finetune"))
		}
	}
	return false
}

// checkout copies what is in a checkout and not made by it: what git lists, and without git all but hidden folders and
// those of results.
func checkout(root, dir string) error {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	var files []string
	if out, err := list.Output(); err == nil {
		files = strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
	} else {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if entry.IsDir() && (rel == "runs" || rel == "bin" || strings.HasPrefix(rel, ".git")) {
				return filepath.SkipDir
			}
			if entry.Type().IsRegular() {
				files = append(files, rel)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, file := range files {
		from, to := filepath.Join(root, file), filepath.Join(dir, file)
		info, err := os.Lstat(from)
		if os.IsNotExist(err) {
			continue // removed and not yet committed
		} else if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
