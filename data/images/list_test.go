package images

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listed writes twelve images and a list of them, and returns its source.
func listed(t *testing.T) List {
	t.Helper()
	dir := t.TempDir()
	var file strings.Builder
	file.WriteString("image\tplace\tcolour\n")
	for i := range 12 {
		name := fmt.Sprintf("some/%02d.png", i)
		writeImage(t, filepath.Join(dir, filepath.FromSlash(name)), 8, 8, color.NRGBA{uint8(20 * i), 0, 0, 255})
		fmt.Fprintf(&file, "%s\t%s\t%d\n", name, []string{"shop", "garden"}[i%2], i)
	}
	s := DefaultList()
	s.File, s.LabelColumn, s.ValidationShare = filepath.Join(dir, "list.tsv"), "place", 0.3
	if err := os.WriteFile(s.File, []byte(file.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestListSource(t *testing.T) {
	s := listed(t)
	d, err := Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if d.Labels[0] != "garden" || d.Train.Len()+d.Validation.Len() != 12 || d.Train.Height != 8 {
		t.Errorf("%s", d.Describe())
	}
	found, err := s.Look(t.Context())
	if err != nil || found.Files != 12 || found.Height != 8 || len(found.Labels) != 2 {
		t.Errorf("survey %+v, %v", found, err)
	}
	all, err := d.List(s, "colour")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		var n int
		if _, err := fmt.Sscanf(x.Name, "some/%d.png", &n); err != nil {
			t.Fatal(err)
		}
		last := len(x.Pixels)/3 - 1 // the writer's corner is white
		if x.Truth != fmt.Sprint(n) || x.Label != []string{"shop", "garden"}[n%2] || int(x.Pixels[last]) != 20*n {
			t.Errorf("%s: label %s, truth %s, red %d", x.Name, x.Label, x.Truth, x.Pixels[last])
		}
	}
	s.MaxExamples = 6
	if d, err = Open(t.Context(), s); err != nil || d.Train.Len()+d.Validation.Len() != 6 {
		t.Errorf("six: %v, %v", d, err)
	}
	if _, err := OpenWith(t.Context(), s, []string{"shop"}); err == nil || !strings.Contains(err.Error(), `class "garden" is none of the classes of training`) {
		t.Errorf("known classes: %v", err)
	}
}

func TestListRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"":                                        "no line after the header",
		"name\tlabel\na.png\tx\n":                 `list.tsv:1: column "image" is not in the header`,
		"image\tname\na.png\tx\n":                 `list.tsv:1: column "label" is not in the header`,
		"image\tlabel\na.png\n":                   "list.tsv:2: 1 columns, but the header has 2",
		"image\tlabel\n\tx\n":                     `list.tsv:2: column "image" is empty`,
		"image\tlabel\na.png\t \n":                `list.tsv:2: column "label" is empty`,
		"image\tlabel\na.png\tx\na.png\ty\n":      `image "a.png" stands there twice`,
		"image\tlabel\na.png\tx\nb.png\tx\n":      `has only the label "x"`,
		"image\tlabel\ngone.png\tx\nb.png\ty\n\n": "b.png",
	} {
		s := DefaultList()
		s.File = filepath.Join(t.TempDir(), "list.tsv")
		if err := os.WriteFile(s.File, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	s := DefaultList()
	if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), `source = "image_list" needs it`) {
		t.Errorf("no list: %v", err)
	}
	s.File, s.LabelColumn, s.ImageSize = "a", "image", 4
	if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "column of images as well") || !strings.Contains(err.Error(), "image_size") {
		t.Errorf("wrong keys: %v", err)
	}
}

// TestFolderTruth: below the folder of its class an image may lie in one of its true class.
func TestFolderTruth(t *testing.T) {
	root := t.TempDir()
	for i := range 8 {
		path := filepath.Join(root, []string{"shop", "garden"}[i%2], []string{"cat", "dog"}[i/4], fmt.Sprintf("%d.png", i))
		writeImage(t, path, 8, 8, color.NRGBA{uint8(20 * i), 0, 0, 255})
	}
	s := DefaultFolder()
	s.Root, s.ValidationShare = root, 0.4
	d, err := Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.List(s, FolderTruth)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		if parts := strings.Split(x.Name, "/"); x.Label != parts[0] || x.Truth != parts[1] {
			t.Errorf("%+v", x)
		}
	}
	if _, err := d.List(s, "colour"); err == nil || !strings.Contains(err.Error(), `tells no true class by "colour"`) {
		t.Errorf("no such: %v", err)
	}
	flat := DefaultFolder()
	flat.Root, flat.ValidationShare = filepath.Join(root, "shop"), 0.4
	if d, err = Open(t.Context(), flat); err != nil {
		t.Fatal(err)
	}
	if _, err := d.List(flat, FolderTruth); err == nil || !strings.Contains(err.Error(), "lies in no folder below") {
		t.Errorf("no folder: %v", err)
	}
}
