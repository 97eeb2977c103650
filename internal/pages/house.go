package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A room is a package of the module.
type room struct {
	ImportPath, Doc string
	Imports         []string

	name  string // from the root of the module
	above int    // rows below it that it stands on
}

// rooms are the packages of the module by name, each with its row: a package imports only what is in rows below it.
func rooms() ([]*room, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Imports", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
		}
		return nil, err
	}
	byPath := map[string]*room{}
	var all []*room
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		r := &room{above: -1}
		if err := d.Decode(r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		r.name = strings.TrimPrefix(r.ImportPath, "sparrow/")
		r.Imports = slices.DeleteFunc(r.Imports, func(p string) bool { return !strings.HasPrefix(p, "sparrow/") })
		byPath[r.ImportPath] = r
		all = append(all, r)
	}
	var row func(r *room) int
	row = func(r *room) int {
		if r.above < 0 {
			r.above = 0
			for _, p := range r.Imports {
				r.above = max(r.above, row(byPath[p])+1)
			}
		}
		return r.above
	}
	for _, r := range all {
		row(r)
	}
	// What nothing stands on is on top.
	top := 0
	imported := map[string]bool{}
	for _, r := range all {
		top = max(top, r.above)
		for _, p := range r.Imports {
			imported[p] = true
		}
	}
	for _, r := range all {
		if !imported[r.ImportPath] && slices.ContainsFunc(wings[0].names, func(n string) bool { return strings.HasPrefix(r.name, n) }) {
			r.above = top
		}
	}
	slices.SortFunc(all, func(a, b *room) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

const (
	architecture        = "docs/architecture.md"
	madeBegin, madeEnd  = "<!-- made by go run ./internal/pages -->\n", "<!-- end of what is made -->\n"
	boxHeight, rowPitch = 26.0, 40.0
)

// architecturePage is docs/architecture.md with its table of packages, each with what its comment says first.
func architecturePage() ([]byte, error) {
	text, err := os.ReadFile(architecture)
	if err != nil {
		return nil, err
	}
	before, rest, found := strings.Cut(string(text), madeBegin)
	_, after, ended := strings.Cut(rest, madeEnd)
	if !found || !ended {
		return nil, fmt.Errorf("%s has no lines %q and %q", architecture, madeBegin, madeEnd)
	}
	all, err := rooms()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(before + madeBegin + "| package | what it is for | imports |\n|---|---|---|\n")
	for _, r := range all {
		var imports []string
		for _, p := range r.Imports {
			imports = append(imports, strings.TrimPrefix(p, "sparrow/"))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.name, escape(purpose(r)), strings.Join(imports, ", "))
	}
	b.WriteString(madeEnd + after)
	return []byte(b.String()), nil
}

// purpose is the first sentence of a package's comment without its first words, "Package x".
func purpose(r *room) string {
	text := r.Doc
	for _, begin := range []string{"Package ", "Command "} {
		if rest, ok := strings.CutPrefix(text, begin); ok {
			_, text, _ = strings.Cut(rest, " ")
		}
	}
	// go list takes the point of "et al." for the end.
	if open := strings.LastIndex(text, " ("); open > strings.LastIndex(text, ")") {
		text = text[:open]
	}
	return strings.TrimSuffix(text, ".")
}

// wings are colours of boxes, by how names begin.
var wings = []struct {
	names        []string
	fill, stroke string
}{
	{[]string{"cmd/", "bench", "tests", "internal/pages"}, "#eeeeee", "#8a8a8a"}, // imported by nothing
	{[]string{"kernel", "op", "nn", "attention", "factor", "model"}, "#cfe0f1", "#1b66ae"},
	{[]string{"data", "checkpoints", "saved", "metrics", "group", "recipe", "configs"}, "#d6ecdf", "#3a8f5c"},
	{[]string{"train", "task", "compress", "convert", "sweep", "cost", "serve", "interchange", "interpret"}, "#fbe3cc", "#d9730e"},
}

// housePicture draws the packages in rows: each imports only packages of rows below its own.
func housePicture() ([]byte, error) {
	all, err := rooms()
	if err != nil {
		return nil, err
	}
	rows := make([][]*room, 1)
	for _, r := range all {
		for len(rows) <= r.above {
			rows = append(rows, nil)
		}
		rows[r.above] = append(rows[r.above], r)
	}
	// A row that is too wide continues on a line of its own.
	const lineWidth = 740.0
	type line struct {
		rooms []*room
		first bool
	}
	var lines []line
	for _, row := range slices.Backward(rows) {
		used, first := lineWidth+1, true
		for _, r := range row {
			if used+boxWidth(r)+8 > lineWidth {
				lines = append(lines, line{first: first})
				used, first = 0, false
			}
			last := &lines[len(lines)-1]
			last.rooms = append(last.rooms, r)
			used += boxWidth(r) + 8
		}
	}
	tall := float64(len(lines))*rowPitch + 50
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 %g" font-family="%s" font-size="12">`+"\n", tall, fontFamily)
	fmt.Fprintf(&b, `<rect width="760" height="%g" fill="#ffffff"/>`+"\n", tall)
	label(&b, 10, 22, faint, `font-size="13"`, "a package imports only packages below the line above which it stands")
	for i, l := range lines {
		y := 40 + float64(i)*rowPitch
		if l.first && i > 0 {
			fmt.Fprintf(&b, `<line x1="10" y1="%g" x2="750" y2="%g" stroke="%s"/>`+"\n", y-7, y-7, grid)
		}
		x := 10.0
		for _, r := range l.rooms {
			fill, stroke := "#ffffff", "#8a8a8a"
			for _, w := range wings {
				if slices.ContainsFunc(w.names, func(n string) bool { return strings.HasPrefix(r.name, n) }) {
					fill, stroke = w.fill, w.stroke
					break
				}
			}
			fmt.Fprintf(&b, `<rect x="%g" y="%g" width="%g" height="%g" rx="3" fill="%s" stroke="%s"/>`+"\n", x, y, boxWidth(r), boxHeight, fill, stroke)
			label(&b, x+boxWidth(r)/2, y+17, ink, `text-anchor="middle"`, r.name)
			x += boxWidth(r) + 8
		}
	}
	b.WriteString("</svg>\n")
	return []byte(b.String()), nil
}

// boxWidth fits a room's name.
func boxWidth(r *room) float64 { return float64(len(r.name))*7.4 + 14 }
