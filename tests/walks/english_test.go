package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// fronted finds a sentence that puts its "Of a ..." before its subject.
var fronted = regexp.MustCompile(`(?:^|[.:;!?]["')]* |\n\n|\n- |\| )(Of an? [^.\n]*)`)

// Sentences of documents, comments and messages begin with their subject.
func TestSentencesBeginWithTheirSubject(t *testing.T) {
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "runs" || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		var texts map[int]string
		switch filepath.Ext(path) {
		case ".md":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			texts = map[int]string{1: string(text)}
		case ".go":
			if texts, err = prose(path); err != nil {
				return err
			}
		default:
			return nil
		}
		files++
		for line, text := range texts {
			if m := fronted.FindStringSubmatchIndex(text); m != nil {
				t.Errorf("%s:%d: %q: begin with the subject", path, line+strings.Count(text[:m[2]], "\n"), text[m[2]:m[3]])
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("read %d files: %v", files, err)
	}
}

// prose is what people read in a Go file, by line: comments, and texts.
func prose(path string) (map[int]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	texts := map[int]string{}
	for _, c := range file.Comments {
		texts[files.Position(c.Pos()).Line] = strings.TrimSpace(c.Text())
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && len(lit.Value) > 20 {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				texts[files.Position(lit.Pos()).Line] = text
			}
		}
		return true
	})
	return texts, nil
}

func TestFrontedSentencesAreFound(t *testing.T) {
	const word = "Of " // apart from what follows, or this file had such sentences
	for text, want := range map[string]bool{
		word + "a kind only its keys are written.":                        true,
		"Gives it back. " + word + "a kind only its keys":                 true,
		"- one thing\n- " + word + "an adapter, the base":                 true,
		"the keys of a kind":                                              false,
		"It is one of a kind. The keys of a kind are its own.":            false,
		"It says what is made\n" + word + "a long name it shows the end.": false,
	} {
		if got := fronted.MatchString(text); got != want {
			t.Errorf("%q: found %t, want %t", text, got, want)
		}
	}
}
