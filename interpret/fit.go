package interpret

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// Sizes of probes.
const (
	probeTokens = 10  // of a context, as a reader meets them
	calibrating = 32  // contexts that the strength of steering is found on
	measuring   = 200 // others, that it is measured on
)

// Fit finds features of a model, a run or a checkpoint, and writes them to the folder dir. Progress goes to out.
func Fit(ctx context.Context, path string, cfg Config, dir string, out io.Writer) (*Folder, error) {
	l, err := saved.Open(path, false, model.Options{})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if len(cfg.Interpret.Layers) == 0 {
		cfg.Interpret.Layers = []int{l.Config.Model.Body().Blocks() / 2}
	}
	f := &fit{Settings: cfg.Interpret, l: l, out: out}
	for _, layer := range f.Layers {
		f.places = append(f.places, place{layer, f.Site})
	}
	if f.autoencodesOutput() {
		for _, layer := range f.Layers {
			f.places = append(f.places, place{layer, Out})
		}
	}
	for _, p := range f.places {
		if _, err := blockOf(l, p.layer); err != nil {
			return nil, err
		}
	}
	if f.corpus, err = read(ctx, l, f.Text, f.Tokens, f.Window); err != nil {
		return nil, err
	}
	shown := progress.New(out, f.corpus.tokens(), 0)
	shown.Plain()
	spools, err := collect(ctx, l, f.corpus, f.places, func(done int) { shown.Step(done, 0, 0) })
	shown.Close()
	defer func() {
		for _, s := range spools {
			if s != nil {
				s.close()
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	folder := &Folder{Dir: dir, Config: cfg, Parent: *l.Files.Lineage(), Probes: f.probes()}
	for i, layer := range f.Layers {
		sets, err := f.layer(ctx, layer, spools[i], spools[(i+len(f.Layers))%len(spools)])
		if err != nil {
			return nil, err
		}
		folder.Sets = append(folder.Sets, sets...)
	}
	n := len(f.corpus.train)
	return folder, folder.write(&checkpoints.Calibration{Examples: n, Length: f.Window, Seed: f.Seed, Data: f.corpus.hash})
}

// fit is one under way.
type fit struct {
	Settings
	l      *saved.Model
	out    io.Writer
	places []place
	corpus *corpus
}

// autoencodesOutput tells whether an autoencoder of the MLP's output is wanted beside that of the site.
func (f *fit) autoencodesOutput() bool { return f.Baselines && f.Site == Hidden }

// probes are the beginnings of held-out windows, then if need be of others.
func (f *fit) probes() (all [][]int) {
	for _, w := range slices.Concat(f.corpus.held, f.corpus.train) {
		for at := 0; at+probeTokens+1 <= len(w.ids) && len(all) < calibrating+measuring; at += probeTokens {
			if w.first > 1 && at > 0 {
				break // a framed text begins once
			}
			all = append(all, w.ids[at:at+probeTokens])
		}
	}
	return all
}

// layer finds the features of one.
func (f *fit) layer(ctx context.Context, layer int, a, outputs *spool) ([]*Set, error) {
	n, width := a.Size()
	if f.Features > n {
		return nil, task.Refusef("[interpret] features = %d of %d tokens; want fewer features or more tokens", f.Features, n)
	}
	cfg := f.factorization(width)
	shown := progress.New(f.out, cfg.Iterations, 0)
	shown.Plain()
	nmf, err := factor.SemiNMF(ctx, a, cfg, func(done, _ int) {
		if done <= cfg.Iterations {
			shown.Step(done, 0, 0)
		}
	})
	shown.Close()
	if err != nil {
		return nil, err
	}
	mean, deviation, norm, err := moments(a)
	if err != nil {
		return nil, err
	}
	where := f.corpus.flat()
	s := &Set{Layer: layer, Site: f.Site, Method: SNMF, Norm: norm, Z: nmf.Z, Error: nmf.Error, Iterations: len(nmf.Errors) - 1, Restarts: nmf.Restarts}
	s.describe(nmf.G, where)
	sets := []*Set{s}
	if f.Baselines {
		more, err := f.baselines(ctx, s, a, outputs, nmf.G, mean, deviation)
		if err != nil {
			return nil, err
		}
		sets = append(sets, more...)
	}
	for _, s := range sets {
		if err := s.promote(f.l, f.corpus.tokenizer); err != nil {
			return nil, err
		}
		fmt.Fprintf(f.out, "layer %d  %-10s %d features of %d tokens, error %.4f, %d dead\n", layer, s.Method, len(s.Features), s.Tokens, s.Error, s.Dead)
	}
	return sets, nil
}

// baselines are as many features by other methods.
func (f *fit) baselines(ctx context.Context, s *Set, a, outputs *spool, g *factor.Matrix, mean, deviation []float64) (sets []*Set, err error) {
	where := f.corpus.flat()
	_, width := a.Size()
	add := func(method string, z, g *factor.Matrix) {
		x := &Set{Layer: s.Layer, Site: s.Site, Method: method, Norm: s.Norm, Z: z}
		x.describe(g, where)
		sets = append(sets, x)
	}
	means, err := meanDifferences(a, s, mean)
	if err != nil {
		return nil, err
	}
	pca, err := components(ctx, a, mean, f.Features, f.Seed)
	if err != nil {
		return nil, err
	}
	add(Means, means, g) // by the coefficients that they are made of
	for _, m := range []struct {
		method string
		z      *factor.Matrix
		mean   []float64
	}{{Neurons, varied(deviation, f.Features), make([]float64, width)}, {PCA, pca, mean}} {
		g, err := projected(a, m.z, m.mean)
		if err != nil {
			return nil, err
		}
		add(m.method, m.z, g)
	}
	add(Random, drawn(f.Features, width, f.keep(width), f.Seed), g) // measured by what snmf's features stand for
	active := 0.0
	for _, x := range s.Features {
		active += x.Usage
	}
	spools, methods, sites := []*spool{a}, []string{SAE}, []string{s.Site}
	if f.autoencodesOutput() {
		spools, methods, sites = append(spools, outputs), append(methods, SAEOut), append(sites, Out)
	}
	for i, a := range spools {
		mean, _, norm, err := moments(a)
		if err != nil {
			return nil, err
		}
		shown := progress.New(f.out, f.SAESteps, 0)
		shown.Plain()
		step := 0
		sae, err := trainSAE(ctx, a, f.Features, max(4, int(math.Round(active))), f.SAESteps, mean, norm, f.Seed, func() { step++; shown.Step(step, 0, 0) })
		shown.Close()
		if err != nil {
			return nil, err
		}
		codes, left, err := sae.encode(a)
		if err != nil {
			return nil, err
		}
		x := &Set{Layer: s.Layer, Site: sites[i], Method: methods[i], Norm: norm, Z: sae.decoder, Error: left, Iterations: f.SAESteps}
		x.describe(codes, where)
		sets = append(sets, x)
	}
	return sets, nil
}
