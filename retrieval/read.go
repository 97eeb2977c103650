package retrieval

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"sparrow/data"
	"sparrow/task"
)

// ReadItems reads the items of a file: a text a line, or, of a file that ends in .jsonl, an object with text and, if there are any, id
// and title, or _id as collections of BEIR have it. The title comes before the text. Lines without a text are left out of a file of
// plain lines, and so is a text that was there before.
func ReadItems(path string) (items []Item, err error) {
	seen := map[string]bool{}
	err = eachLine(path, func(number int, line []byte, object bool) error {
		if !object {
			if text := strings.TrimSpace(string(line)); !seen[text] {
				seen[text] = true
				items = append(items, Item{Text: text})
			}
			return nil
		}
		var x struct {
			ID    string `json:"id"`
			Other string `json:"_id"`
			Title string `json:"title"`
			Text  string `json:"text"`
		}
		if err := json.Unmarshal(line, &x); err != nil {
			return task.Refusef("%s:%d: %w; want an object with text, as {\"id\": \"1\", \"text\": \"...\"}", path, number, err)
		}
		item := Item{ID: x.ID + x.Other, Text: strings.TrimSpace(x.Title + " " + x.Text)}
		if item.Text == "" {
			return task.Refusef("%s:%d: the object has no text", path, number)
		}
		items = append(items, item)
		return nil
	})
	if err == nil && len(items) == 0 {
		err = task.Refusef("%s has no items; want a text a line", path)
	}
	return items, err
}

// ReadQueries reads the queries of a file, as ReadItems does; objects may have gold, the id or the text of the item that answers.
func ReadQueries(path string) (queries []Query, err error) {
	err = eachLine(path, func(number int, line []byte, object bool) error {
		q := Query{Text: strings.TrimSpace(string(line))}
		if object {
			q = Query{}
			if err := json.Unmarshal(line, &q); err != nil {
				return task.Refusef("%s:%d: %w; want an object with text, as {\"text\": \"...\", \"gold\": \"1\"}", path, number, err)
			}
			if q.Text = strings.TrimSpace(q.Text); q.Text == "" {
				return task.Refusef("%s:%d: the object has no text", path, number)
			}
		}
		queries = append(queries, q)
		return nil
	})
	if err == nil && len(queries) == 0 {
		err = task.Refusef("%s has no queries; want a text a line", path)
	}
	return queries, err
}

// eachLine reads the lines of a file that are not empty.
func eachLine(path string, do func(number int, line []byte, object bool) error) error {
	text, err := data.ReadFile(path)
	if err != nil {
		return task.Refuse(err)
	}
	number, object := 0, filepath.Ext(path) == ".jsonl"
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			return task.Refusef("%s:%d: not valid UTF-8", path, number)
		}
		if err := do(number, line, object); err != nil {
			return err
		}
	}
	return nil
}
