// Command notes searches a folder of notes by meaning, offline: one static binary that carries its model.
//
//	go run ./cmd/model import hub:sentence-transformers/all-MiniLM-L6-v2 --dtype int8 --embeddings -o examples/notes/model
//	CGO_ENABLED=0 go build -tags notes -trimpath -ldflags='-s -w' -o notes ./examples/notes
//	./notes ~/notes 'when does the train leave'
//
// It reads the .md and .txt files below the folder, gives each paragraph a vector and prints the paragraphs that are nearest to the
// query.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"sparrow"
)

// passage is a paragraph of a note.
type passage struct {
	file string
	line int
	text string
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: notes FOLDER QUERY...")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := search(ctx, os.Args[1], strings.Join(os.Args[2:], " ")); err != nil {
		log.Fatal("notes: ", err)
	}
}

// carried is the folder that has the model; nil without the tag notes.
var carried fs.FS

// shown is how many paragraphs are printed.
const shown = 5

func search(ctx context.Context, folder, query string) error {
	passages, err := read(folder)
	if err != nil {
		return err
	}
	if len(passages) == 0 {
		return fmt.Errorf("%s has no .md or .txt files with text", folder)
	}
	if carried == nil {
		return errors.New("built without a model: the head of examples/notes/main.go says how to build it with one")
	}
	model, err := fs.Sub(carried, "model")
	if err != nil {
		return err
	}
	m, err := sparrow.OpenFS(ctx, model, sparrow.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	texts := make([]string, len(passages))
	for i, p := range passages {
		texts[i] = p.text
	}
	ranked, err := m.Rerank(ctx, query, texts)
	if err != nil {
		return err
	}
	for _, r := range ranked[:min(shown, len(ranked))] {
		p := passages[r.Index]
		fmt.Printf("%.2f  %s:%d  %s\n", r.Score, p.file, p.line, strings.Join(strings.Fields(p.text), " "))
	}
	return nil
}

// read cuts the notes below a folder into paragraphs, which empty lines part.
func read(folder string) (all []passage, err error) {
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || !d.Type().IsRegular() || ext != ".md" && ext != ".txt" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !utf8.Valid(content) {
			return err
		}
		p := passage{file: path}
		for i, line := range append(strings.Split(string(content), "\n"), "") {
			switch line = strings.TrimSpace(line); {
			case line != "" && p.text == "":
				p.line, p.text = i+1, line
			case line != "":
				p.text += "\n" + line
			case p.text != "":
				all = append(all, p)
				p.text = ""
			}
		}
		return nil
	})
	return all, err
}
