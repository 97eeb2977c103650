package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/discover"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task/discovery"
	"sparrow/train"
)

// wholeSeeds are how many draws a discriminator is trained in full on, at the first alpha and number of domains.
const wholeSeeds = 3

// whole trains a network to tell the domains of a cell apart, all of it, and looks for classes in what it says, as train run and
// model discover do.
func (l *loaded) whole(ctx context.Context, c cell, claim *Claim, dir string) (measured, error) {
	out := measured{Method: trained}
	used, domain, share, err := deal(ctx, l.class, c.Classes, c.Domains, claim.MaxExamples, c.Alpha, claim.Condition, uint64(c.Seed))
	if err != nil {
		return out, err
	}
	cfg := claim.Texts
	if l.texts == nil {
		cfg = claim.Images
	}
	if cfg.Data, err = l.write(dir, used, domain); err != nil {
		return out, err
	}
	cfg.Name, cfg.Seed, cfg.Task = "shift", uint64(c.Seed), &recipe.Task{Kind: "discover"}
	run := filepath.Join(dir, "run")
	t, err := train.New(ctx, cfg, run, false, io.Discard)
	if err != nil {
		return out, err
	}
	if _, err := t.Run(ctx, func() bool { return ctx.Err() != nil }); err != nil {
		return out, err
	}
	m, err := saved.Open(run, false, model.Options{})
	if err != nil {
		return out, err
	}
	found, err := m.Task.(*discovery.Task).Discover(ctx, m.Session, discovery.Options{Config: discover.Config{Classes: c.Classes, Force: true, Seed: uint64(c.Seed)}, Truth: "class"})
	if err != nil {
		out.Distance, out.Refused = 2, err.Error()
		return out, nil
	}
	var label, truth []int
	for i, x := range found.Examples {
		if x.Held {
			var y int
			fmt.Sscanf(x.Truth, "class %d", &y)
			label, truth = append(label, found.Label[i]), append(truth, y)
		}
	}
	accuracy, of := discover.Accuracy(label, truth, c.Classes, c.Classes)
	out.Accuracy = accuracy
	for d := range c.Domains {
		at := slices.Index(found.Model.Domains, domainName(d))
		for y, z := range of {
			out.Distance += math.Abs(found.Model.Prior[y][at]-share.Row(z)[d]) / float64(c.Domains)
		}
	}
	return out, nil
}

func domainName(d int) string { return fmt.Sprintf("domain %03d", d) }

// write makes a table of the examples, and the files of images.
func (l *loaded) write(dir string, used, domain []int) (recipe.Data, error) {
	var table strings.Builder
	table.WriteString("what\tdomain\tclass\n")
	for i, at := range used {
		what := ""
		if l.texts != nil {
			what = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(l.texts[at])
		} else {
			what = fmt.Sprintf("%05d.png", i)
			if err := l.writeImage(filepath.Join(dir, what), at); err != nil {
				return recipe.Data{}, err
			}
		}
		fmt.Fprintf(&table, "%s\t%s\tclass %d\n", what, domainName(domain[i]), l.class[at])
	}
	path := filepath.Join(dir, "examples.tsv")
	if err := os.WriteFile(path, []byte(table.String()), 0o644); err != nil {
		return recipe.Data{}, err
	}
	if l.texts != nil {
		s := labelled.DefaultTable()
		s.Train, s.TextColumns, s.LabelColumn, s.ValidationShare = path, []string{"what"}, "domain", heldShare
		s.Tokenizer, s.VocabSize, s.MinCount, s.MaxLen = "word", 10_000, 2, 128
		return recipe.From(s), nil
	}
	s := images.DefaultList()
	s.File, s.ImageColumn, s.LabelColumn, s.ValidationShare = path, "what", "domain", heldShare
	return recipe.From(s), nil
}

// writeImage writes an image as a PNG file.
func (l *loaded) writeImage(path string, at int) error {
	pixels := l.pixels[at]
	plane := len(pixels)
	if plane%3 == 0 && l.colour {
		plane /= 3
	}
	side := int(math.Round(math.Sqrt(float64(plane))))
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	for p := range plane {
		r, g, b := pixels[p], pixels[p], pixels[p]
		if l.colour {
			g, b = pixels[plane+p], pixels[2*plane+p]
		}
		out.SetRGBA(p%side, p/side, color.RGBA{r, g, b, 255})
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return png.Encode(file, out)
}
