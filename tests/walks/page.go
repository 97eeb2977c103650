package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Mark says what is special about a code block.
type Mark struct {
	Short  bool
	Sets   []string // KEY=VALUE, with Short
	Skip   string   // the reason
	Output bool
	File   string
}

// A Block is a code block of a page.
type Block struct {
	Page     string // path from the root of the module, with slashes
	Line     int    // of its first line of text
	Language string
	Text     string
	Mark     Mark
}

// A Command is one that a page shows.
type Command struct {
	Block *Block
	Line  int
	Text  string   // for a shell
	Shown []string // lines of output; nil if the page shows none
}

// where is the place of a command as compilers write it.
func (c Command) where() string { return fmt.Sprintf("%s:%d", c.Block.Page, c.Line) }

var (
	fence = regexp.MustCompile("^```(\\w*)$")
	note  = regexp.MustCompile(`^<!-- ci: (.*) -->$`)
)

// blocks are the code blocks of a page, with their marks.
func blocks(page, text string) ([]*Block, error) {
	var all []*Block
	var open *Block
	var mark *Mark // waits for its block
	for i, line := range strings.Split(text, "\n") {
		at := func(format string, args ...any) error {
			return fmt.Errorf("%s:%d: %s", page, i+1, fmt.Sprintf(format, args...))
		}
		if open != nil {
			if line == "```" {
				all, open = append(all, open), nil
			} else {
				open.Text += line + "\n"
			}
			continue
		}
		if m := fence.FindStringSubmatch(line); m != nil {
			open = &Block{Page: page, Line: i + 2, Language: m[1]}
			if mark != nil {
				open.Mark, mark = *mark, nil
			}
			continue
		}
		if mark != nil {
			return nil, at("a mark stands right before its block")
		}
		if m := note.FindStringSubmatch(line); m != nil {
			read, err := readMark(m[1])
			if err != nil {
				return nil, at("%v", err)
			}
			mark = &read
		} else if strings.Contains(line, "<!-- ci:") {
			return nil, at("a mark is a line of its own: <!-- ci: ... -->")
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: the code block of line %d does not end", page, open.Line-1)
	}
	return all, nil
}

// readMark reads the words after "ci:".
func readMark(text string) (Mark, error) {
	words := strings.Fields(text)
	rest := words[min(1, len(words)):]
	switch {
	case len(words) == 0:
		return Mark{}, fmt.Errorf("an empty mark")
	case words[0] == "short":
		for _, word := range rest {
			if !strings.Contains(word, "=") {
				return Mark{}, fmt.Errorf("%q is not KEY=VALUE", word)
			}
		}
		return Mark{Short: true, Sets: rest}, nil
	case words[0] == "skip" && len(rest) > 0:
		return Mark{Skip: strings.Join(rest, " ")}, nil
	case words[0] == "output" && len(rest) == 0:
		return Mark{Output: true}, nil
	case words[0] == "file" && len(rest) == 1 && filepath.IsLocal(rest[0]):
		return Mark{File: rest[0]}, nil
	}
	return Mark{}, fmt.Errorf("mark %q is not short [KEY=VALUE...], skip REASON, output or file NAME", text)
}

// commands are those of a block: all lines of sh, those after $ of console.
func (b *Block) commands() []Command {
	if b.Language != "sh" && b.Language != "console" {
		return nil
	}
	var all []Command
	lines := strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		text, at := lines[i], b.Line+i
		if b.Language == "console" {
			cut, prompted := strings.CutPrefix(text, "$ ")
			if !prompted {
				if n := len(all); n > 0 {
					all[n-1].Shown = append(all[n-1].Shown, text)
				}
				continue
			}
			text = cut
		} else if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#") {
			continue
		}
		for strings.HasSuffix(text, "\\") && i+1 < len(lines) {
			i++
			text = strings.TrimSuffix(text, "\\") + strings.TrimSpace(lines[i])
		}
		all = append(all, Command{Block: b, Line: at, Text: text})
	}
	return all
}

// users is the folder of the walks of users.
const users = "tests/walks/users/"

// pages are README.md and the pages in docs, but for those that package claims writes, and the walks of users.
func pages(root string) ([]string, error) {
	all := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "claims" {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			all = append(all, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(all[2:])
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(users), "*.md"))
	for _, path := range paths { // what three users do, beside the pages that they read
		all = append(all, users+filepath.Base(path))
	}
	return all, err
}

// readPage reads the code blocks of a page.
func readPage(root, page string) ([]*Block, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		return nil, err
	}
	return blocks(page, string(text))
}
