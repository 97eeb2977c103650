package compress

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"sparrow/train"
)

// TestReport: one file that names every layer, needs no network and whose drawings are sound.
func TestReport(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "auto", 0.5)
	dir := filepath.Join(t.TempDir(), "out & about")
	mustRun(t, cfg, dir)
	for _, verified := range []bool{false, true} {
		if verified {
			if _, err := Verify(context.Background(), dir, io.Discard); err != nil {
				t.Fatal(err)
			}
		}
		path, err := WriteReport(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, reference := range []string{"http:", "https:", "<script", "@import", "url(", "NaN", "Inf", "<no value>", "ZgotmplZ"} {
			if bytes.Contains(text, []byte(reference)) {
				t.Errorf("the report contains %q", reference)
			}
		}
		if !bytes.Contains(text, []byte("<h1>out &amp; about</h1>")) || bytes.Contains(text, []byte("has not been run")) == verified {
			t.Error("the report lacks its title, or what verify measured")
		}
		for _, x := range mustOpen(t, cfg).targets {
			if !bytes.Contains(text, []byte("<h3>"+x.Name+"</h3>")) {
				t.Errorf("the report lacks %s", x.Name)
			}
		}
		drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAll(text, -1)
		if len(drawings) < 16 {
			t.Errorf("%d drawings, want 2 and 2 for each layer", len(drawings))
		}
		for _, svg := range drawings {
			d := xml.NewDecoder(bytes.NewReader(svg))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("a drawing is no XML: %v\n%.300s", err, svg)
				}
			}
		}
	}
	if _, err := WriteReport(t.TempDir(), ""); !errors.Is(err, train.ErrNotFound) {
		t.Errorf("an empty folder: got %v, want an error that matches ErrNotFound", err)
	}
}
