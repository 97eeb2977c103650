package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// runWhole runs claims to their end and returns the document of --json, the text it was read from, and the log.
func runWhole(t *testing.T, args []string) (d document, text, log string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	return d, stdout.String(), stderr.String()
}

// runAgain runs them again, which must print the same, from so many entries of the cache. It returns the log.
func runAgain(t *testing.T, args []string, first string, cached int) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, &stdout, &stderr); code != exitOK || stdout.String() != first || strings.Count(stderr.String(), "from the cache") != cached {
		t.Errorf("the second time: exit code %d\n%s\nthe first\n%s\n%s", code, &stdout, first, &stderr)
	}
	return stderr.String()
}
