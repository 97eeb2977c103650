package sparrow_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sparrow"
)

// unzip unpacks one of the kept runs of an earlier version and opens its newest checkpoint.
func unzip(t testing.TB, name string) *sparrow.Model {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join("tests", "testdata", "v1", "runs", name+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := t.TempDir()
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		r, err := f.Open()
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o755)
		}
		var content []byte
		if err == nil {
			content, err = io.ReadAll(r)
		}
		if err == nil {
			err = os.WriteFile(path, content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	root := dir
	if entries, _ := os.ReadDir(dir); len(entries) == 1 {
		root = filepath.Join(dir, entries[0].Name())
	}
	m, err := sparrow.Open(context.Background(), root, sparrow.Options{Newest: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// written is all that Generate yields.
func written(m *sparrow.Model, prompt string, o sparrow.GenerateOptions) (string, error) {
	var b strings.Builder
	for text, err := range m.Generate(context.Background(), prompt, o) {
		if err != nil {
			return b.String(), err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func picture(side int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		m.Set(i%side, i/side, color.RGBA{uint8(7 * i), uint8(3 * i), uint8(i), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// TestManyGoroutines: 64 goroutines over one model of texts, of images, of text to continue, and of 8 bits get the bits of
// one alone, also where the body of a loop uses the model again.
func TestManyGoroutines(t *testing.T) {
	calls := 50
	if testing.Short() {
		calls = 3
	}
	for _, c := range []struct {
		run string
		ask func(m *sparrow.Model, i int) (string, error)
	}{
		{"lama", func(m *sparrow.Model, i int) (string, error) {
			p, err := m.Predict(context.Background(), sparrow.Text(strings.Repeat("good ", 1+i%5)), sparrow.Text("bad film"))
			return fmt.Sprint(p), err
		}},
		{"favit", func(m *sparrow.Model, i int) (string, error) {
			p, err := m.Predict(context.Background(), sparrow.Image(bytes.NewReader(picture(32+i%3))))
			return fmt.Sprint(p), err
		}},
		{"mha", func(m *sparrow.Model, i int) (string, error) {
			o := sparrow.GenerateOptions{Tokens: 3 + i%4, Temperature: 1, Seed: uint64(i % 3)}
			var b strings.Builder
			for text, err := range m.Generate(context.Background(), "the", o) {
				if err != nil {
					return "", err
				}
				b.WriteString(text)
				if _, err := written(m, "a", sparrow.GenerateOptions{Tokens: 1}); err != nil {
					return "", err
				}
			}
			return b.String(), nil
		}},
		{"compress_int8", func(m *sparrow.Model, i int) (string, error) {
			return written(m, "of", sparrow.GenerateOptions{Tokens: 2 + i%5})
		}},
	} {
		t.Run(c.run, func(t *testing.T) {
			m := unzip(t, c.run)
			var want []string
			for i := range 12 {
				text, err := c.ask(m, i)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, text)
			}
			var all sync.WaitGroup
			for g := range 64 {
				all.Go(func() {
					for i := range calls {
						k := (g + i) % len(want)
						if got, err := c.ask(m, k); err != nil || got != want[k] {
							t.Errorf("%v: %q, want %q", err, got, want[k])
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// TestClose waits for what is under way, and refuses what comes later, nested calls too.
func TestClose(t *testing.T) {
	m := unzip(t, "mha")
	closed := make(chan error)
	begun := false
	for _, err := range m.Generate(context.Background(), "the", sparrow.GenerateOptions{Tokens: 8}) {
		if err != nil {
			t.Fatal(err)
		}
		if !begun {
			begun = true
			go func() { closed <- m.Close() }()
		}
		select {
		case <-closed:
			t.Fatal("closed while a text was under way")
		case <-time.After(time.Millisecond):
		}
		for _, err := range m.Generate(context.Background(), "a", sparrow.GenerateOptions{Tokens: 1}) {
			if err != nil && !errors.Is(err, sparrow.ErrClosed) {
				t.Errorf("inside: %v, want nothing or ErrClosed", err)
			}
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := m.Predict(context.Background(), sparrow.Text("x")); !errors.Is(err, sparrow.ErrCannot) {
		t.Errorf("Predict of a language model: %v, want ErrCannot", err)
	}
	if _, err := written(m, "the", sparrow.GenerateOptions{}); !errors.Is(err, sparrow.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

// TestStop: a text ends before the first stop that comes, and what is left is its beginning.
func TestStop(t *testing.T) {
	m := unzip(t, "mha")
	whole, err := written(m, "the", sparrow.GenerateOptions{Tokens: 40})
	if err != nil {
		t.Fatal(err)
	}
	stop := whole[len(whole)/2 : len(whole)/2+3]
	got, err := written(m, "the", sparrow.GenerateOptions{Tokens: 40, Stop: []string{"never there", stop}})
	if want, _, _ := strings.Cut(whole, stop); err != nil || got != want {
		t.Errorf("until %q: %q, %v; want %q", stop, got, err, want)
	}
	if m.Defaults().Temperature != 0 {
		t.Errorf("a model of no maker has defaults: %+v", m.Defaults())
	}
}

func TestRefusals(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := sparrow.Open(ctx, "nowhere", sparrow.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a context that is done: %v", err)
	}
	if _, err := sparrow.Open(context.Background(), filepath.Join(t.TempDir(), "nowhere"), sparrow.Options{}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("Open of no folder: %v", err)
	}
	lama := unzip(t, "lama")
	if _, err := written(lama, "x", sparrow.GenerateOptions{}); !errors.Is(err, sparrow.ErrCannot) {
		t.Errorf("Generate of a classifier: %v, want ErrCannot", err)
	}
	var input *sparrow.InputError
	if _, err := lama.Predict(context.Background(), sparrow.Text("fine"), sparrow.Text("a\xff")); !errors.As(err, &input) || input.Index != 1 {
		t.Errorf("a text that is not UTF-8: %v, want an InputError with index 1", err)
	}
	mha := unzip(t, "mha")
	for _, o := range []sparrow.GenerateOptions{{Tokens: -1}, {Tokens: 1 << 40}, {Temperature: -1}, {Temperature: math.NaN()}, {TopP: 2}, {MinP: -1}, {RepetitionPenalty: math.Inf(1)}} {
		if _, err := written(mha, "x", o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	if _, err := written(mha, "", sparrow.GenerateOptions{}); err == nil {
		t.Error("an empty prompt: no error")
	}
}
