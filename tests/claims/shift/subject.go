package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/discover"
	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// errMissing says that data or an encoder is not on this machine.
var errMissing = errors.New("not on this machine")

// embedderFrom names the checkpoint of a sentence encoder.
const embedderFrom = "SPARROW_EMBEDDER"

// Texts are cut to so many words, about 128 tokens.
const mostWords = 90

// Images are seen in so many directions of most variance, and these by so many random waves.
const (
	directions = 64
	waves      = 512
)

// loaded is a subject's examples.
type loaded struct {
	x       *factor.Matrix
	class   []int
	classes []string

	texts  []string  // of texts
	pixels [][]uint8 // of images
	colour bool      // which have three channels
}

// load reads a data set, takes most examples in a drawn order, and gives each its features.
func (s Subject) load(ctx context.Context, most int) (*loaded, error) {
	if s.FileFrom != "" {
		path := os.Getenv(s.FileFrom)
		if path == "" {
			return nil, fmt.Errorf("%w: set %s to the data of %s", errMissing, s.FileFrom, s.Name)
		}
		switch from := s.Data.Of.(type) {
		case images.Folder:
			from.Root = path
			s.Data.Of = from
		case labelled.Table:
			from.Train = path
			s.Data.Of = from
		}
	}
	if from, ok := s.Data.Images(); ok {
		return s.images(ctx, from, most)
	}
	from, ok := s.Data.Labelled()
	if !ok {
		return nil, fmt.Errorf("subject %s: source %q gives neither labelled texts nor images", s.Name, s.Data.Name)
	}
	return s.texts(ctx, from, most)
}

// choose draws examples of the subject's classes.
func (s Subject) choose(labels []string, most int) (at, class []int, classes []string) {
	classes = slices.Clone(s.Classes)
	if len(classes) == 0 {
		for _, l := range labels {
			if i, known := slices.BinarySearch(classes, l); !known {
				classes = slices.Insert(classes, i, l)
			}
		}
	}
	draw := rng.New(1, "claims/shift/choose", 0)
	order := make([]int, len(labels))
	for i := range order {
		order[i] = i
	}
	for i := range order {
		j := i + draw.Intn(len(order)-i)
		order[i], order[j] = order[j], order[i]
	}
	for _, i := range order {
		if y := slices.Index(classes, labels[i]); y >= 0 && len(at) < most {
			at, class = append(at, i), append(class, y)
		}
	}
	return at, class, classes
}

// texts are embedded by the encoder that the environment names.
func (s Subject) texts(ctx context.Context, from labelled.Source, most int) (*loaded, error) {
	path := os.Getenv(embedderFrom)
	if path == "" {
		return nil, fmt.Errorf("%w: set %s to the checkpoint of a sentence encoder", errMissing, embedderFrom)
	}
	m, err := saved.Open(path, false, model.Options{})
	if err != nil {
		return nil, err
	}
	e, ok := m.Task.(task.Embedder)
	if !ok {
		return nil, fmt.Errorf("%s: %s is no sentence encoder", embedderFrom, path)
	}
	list, err := labelled.List(ctx, from, nil, "")
	if err != nil {
		return nil, err
	}
	labels := make([]string, len(list))
	for i, x := range list {
		labels[i] = x.Label
	}
	at, class, classes := s.choose(labels, most)
	texts := make([]string, len(at))
	for i, j := range at {
		words := strings.Fields(list[j].Text)
		texts[i] = strings.Join(words[:min(len(words), mostWords)], " ")
	}
	rows, err := e.Embed(ctx, m.Session, texts, task.Vectors{})
	if err != nil {
		return nil, err
	}
	x := factor.NewMatrix(len(rows), len(rows[0]))
	for i, row := range rows {
		for d, v := range row {
			x.Row(i)[d] = float64(v)
		}
	}
	return &loaded{x: x, class: class, classes: classes, texts: texts}, nil
}

// images are seen by cos(w·z + b), z the directions of most variance and w drawn so that waves are about as long as images lie apart
// (Rahimi and Recht 2007).
func (s Subject) images(ctx context.Context, from images.Source, most int) (*loaded, error) {
	d, err := images.Open(ctx, from)
	if err != nil {
		return nil, err
	}
	list, err := d.List(from, "")
	if err != nil {
		return nil, err
	}
	labels := make([]string, len(list))
	for i, x := range list {
		labels[i] = x.Label
	}
	at, class, classes := s.choose(labels, most)
	pixels := factor.NewMatrix(len(at), len(list[0].Pixels))
	mean := make([]float64, pixels.Cols)
	for i, j := range at {
		for k, v := range list[j].Pixels {
			pixels.Row(i)[k] = float64(v) / 255
			mean[k] += float64(v) / 255 / float64(len(at))
		}
	}
	for i := range pixels.Rows {
		for k, v := range mean {
			pixels.Row(i)[k] -= v
		}
	}
	svd, err := factor.RandomizedSVD(ctx, pixels, factor.RandomizedConfig{Rank: min(directions, pixels.Rows, pixels.Cols), Power: 4}, nil)
	if err != nil {
		return nil, err
	}
	z := pixels.Mul(svd.Vt.Transpose())
	w, b := factor.NewMatrix(z.Cols, waves), make([]float64, waves)
	draw := rng.New(1, "claims/shift/waves", 0)
	rng.FillNormal(draw, w.Data, 0, 1/math.Sqrt(squares(z.Data)/float64(z.Rows)))
	rng.FillUniform(draw, b, 0, 2*math.Pi)
	x := z.Mul(w)
	for i := range x.Rows {
		for k, v := range b {
			x.Row(i)[k] = math.Cos(x.Row(i)[k] + v)
		}
	}
	l := &loaded{x: x, class: class, classes: classes, colour: d.Train.Channels == 3}
	for _, j := range at {
		l.pixels = append(l.pixels, list[j].Pixels)
	}
	return l, nil
}

// joinings are how many ways of pairing classes are tried.
const joinings = 30

// developed is the part of the examples by which pairs are chosen; the rest is measured.
const developed = 0.2

// join makes one class of two, so that k-means of the features finds as little of them as in any of 30 drawn pairings, on a part that
// is not measured. blind is what it finds there.
func (l *loaded) join(ctx context.Context) (joined *loaded, blind float64, err error) {
	k, n := len(l.classes)/2, int(float64(l.x.Rows)*developed)
	part := &factor.Matrix{Rows: n, Cols: l.x.Cols, Data: l.x.Data[:n*l.x.Cols]}
	c, err := factor.KMeans(ctx, part, factor.KMeansConfig{K: k, Seed: 1}, nil)
	if err != nil {
		return nil, 0, err
	}
	var best []int
	blind = 2
	for try := range uint64(joinings) {
		draw := rng.New(1, "claims/shift/join", try<<40)
		order := make([]int, len(l.classes))
		for i := range order {
			order[i] = i
		}
		for i := range order {
			j := i + draw.Intn(len(order)-i)
			order[i], order[j] = order[j], order[i]
		}
		of := make([]int, len(order))
		for i, y := range order {
			of[y] = i / 2 // of an odd number the last is left out
		}
		truth := make([]int, n)
		for i := range truth {
			if truth[i] = of[l.class[i]]; truth[i] >= k {
				truth[i] = -1
			}
		}
		if a, _ := discover.Accuracy(c.Of, truth, k, k); a < blind {
			blind, best = a, of
		}
	}
	joined = &loaded{classes: make([]string, k), colour: l.colour}
	var kept []int
	for y, pair := range best {
		if pair < k {
			joined.classes[pair] += l.classes[y] + " "
		}
	}
	for i := n; i < l.x.Rows; i++ {
		if best[l.class[i]] < k {
			kept = append(kept, i)
			joined.class = append(joined.class, best[l.class[i]])
			if l.texts != nil {
				joined.texts = append(joined.texts, l.texts[i])
			} else if l.pixels != nil {
				joined.pixels = append(joined.pixels, l.pixels[i])
			}
		}
	}
	joined.x = factor.NewMatrix(len(kept), l.x.Cols)
	for i, at := range kept {
		copy(joined.x.Row(i), l.x.Row(at))
	}
	return joined, blind, nil
}
