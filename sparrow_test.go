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
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
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

// open opens a tiny model of testdata, or one of the kept runs.
func open(t testing.TB, name string) *sparrow.Model {
	t.Helper()
	if _, err := os.Stat(filepath.Join("testdata", name)); err != nil {
		return unzip(t, name)
	}
	m, err := sparrow.Open(context.Background(), filepath.Join("testdata", name), sparrow.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestInt8: vectors of products of integers are near those of float32, not the same, and the same each time.
func TestInt8(t *testing.T) {
	ctx, vectors := context.Background(), map[bool][]float32{}
	for _, int8s := range []bool{false, true} {
		m, err := sparrow.Open(ctx, filepath.Join("testdata", "encoder"), sparrow.Options{Int8: int8s})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			x, err := m.Embed(ctx, []string{"a warm and funny film"}, sparrow.EmbedOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if had := vectors[int8s]; had != nil && !slices.Equal(had, x[0]) {
				t.Errorf("8 bits %t: the second vector is another", int8s)
			}
			vectors[int8s] = x[0]
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var off, norm float64
	for i, x := range vectors[false] {
		d := float64(x - vectors[true][i])
		off, norm = off+d*d, norm+float64(x)*float64(x)
	}
	if off == 0 || off > 1e-3*norm {
		t.Errorf("a share of %g of the vector is lost", off/norm)
	}
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
		{"encoder", func(m *sparrow.Model, i int) (string, error) {
			v, err := m.Embed(context.Background(), []string{strings.Repeat("w1 ", 1+i%7), "w9 w8"}, sparrow.EmbedOptions{Dims: i % 5})
			return fmt.Sprint(v), err
		}},
		{"reranker", func(m *sparrow.Model, i int) (string, error) {
			r, err := m.Rerank(context.Background(), strings.Repeat("w1 ", 1+i%4), []string{"w2", "w9 w8", "w3 w4 w5"})
			return fmt.Sprint(r), err
		}},
		{"compress_int8", func(m *sparrow.Model, i int) (string, error) {
			return written(m, "of", sparrow.GenerateOptions{Tokens: 2 + i%5})
		}},
	} {
		t.Run(c.run, func(t *testing.T) {
			m := open(t, c.run)
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

// TestOpenFS: a model from a file system answers as one from a folder, also where its files can only be read from their beginning;
// what is damaged there is an error.
func TestOpenFS(t *testing.T) {
	ctx := context.Background()
	ask := func(m *sparrow.Model) string {
		v, err := m.Embed(ctx, []string{"w1 w2"}, sparrow.EmbedOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(v)
	}
	want := ask(open(t, "encoder"))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if err := z.AddFS(os.DirFS("testdata/encoder")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	zipped, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	damaged := fstest.MapFS{}
	for _, f := range zipped.File {
		content, err := fs.ReadFile(zipped, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == "model.npz" {
			content[len(content)/2] ^= 1
		}
		damaged[f.Name] = &fstest.MapFile{Data: content}
	}
	for name, fsys := range map[string]fs.FS{"folder": os.DirFS("testdata/encoder"), "zip": zipped} {
		m, err := sparrow.OpenFS(ctx, fsys, sparrow.Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := ask(m); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, c := range map[string]struct {
		fsys fs.FS
		o    sparrow.Options
		want string
	}{
		"damaged": {damaged, sparrow.Options{}, "the file is damaged"},
		"empty":   {fstest.MapFS{}, sparrow.Options{}, "not a checkpoint folder"},
		"newest":  {zipped, sparrow.Options{Newest: true}, "Newest"},
	} {
		if _, err := sparrow.OpenFS(ctx, c.fsys, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := sparrow.OpenFS(stopped, zipped, sparrow.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is done: %v", err)
	}
}

// TestRank: documents come in the order of their scores, with their places, by either kind of model; others cannot rank.
func TestRank(t *testing.T) {
	ctx := context.Background()
	documents := []string{"w9", "w1 w2", "w30 w31 w32"}
	for _, name := range []string{"encoder", "reranker"} {
		m := open(t, name)
		all, err := m.Rerank(ctx, "w1 w2", documents)
		if err != nil || len(all) != len(documents) {
			t.Fatalf("%s: %v, %v", name, all, err)
		}
		for i, r := range all {
			alone, err := m.Rerank(ctx, "w1 w2", documents[r.Index:r.Index+1])
			if err != nil || math.Abs(alone[0].Score-r.Score) > 1e-5 {
				t.Errorf("%s: document %d has score %g among others, %v alone: %v", name, r.Index, r.Score, alone, err)
			}
			if i > 0 && r.Score > all[i-1].Score {
				t.Errorf("%s: %v is not in order", name, all)
			}
		}
		if none, err := m.Rerank(ctx, "w1", nil); err != nil || len(none) != 0 {
			t.Errorf("%s: no documents: %v, %v", name, none, err)
		}
		var input *sparrow.InputError
		if _, err := m.Rerank(ctx, "w1", []string{"w1", "a\xff"}); !errors.As(err, &input) || input.Index != 1 {
			t.Errorf("%s: a document that is not UTF-8: %v, want an InputError with index 1", name, err)
		}
	}
	if all, err := open(t, "encoder").Rerank(ctx, "w1 w2", documents); err != nil || all[0].Index != 1 {
		t.Errorf("the query itself is not the first: %v, %v", all, err)
	}
	for _, name := range []string{"classifier", "writer", "lama"} {
		if _, err := open(t, name).Rerank(ctx, "w1", documents); !errors.Is(err, sparrow.ErrCannot) {
			t.Errorf("%s: %v, want ErrCannot", name, err)
		}
	}
	if _, err := open(t, "writer").Embed(ctx, documents, sparrow.EmbedOptions{}); !errors.Is(err, sparrow.ErrCannot) {
		t.Errorf("vectors of a language model: %v, want ErrCannot", err)
	}
	for _, o := range []sparrow.EmbedOptions{{Dims: -1}, {Dims: 1000}, {Prompt: "query"}} {
		if _, err := open(t, "encoder").Embed(ctx, documents, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
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
