package compress

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/task"
)

// Where no gradient is wanted, momentTexts run at once, or fewer, of which what all layers read takes momentBytes: that is kept
// until it is added up.
const (
	momentTexts = 4
	momentBytes = 256 << 20
)

// momentBatch is how many texts run at once for moments, by the longest there are. The data has been read.
func (s *compression) momentBatch() int {
	x, ok := s.data.(task.Stepped)
	if !ok {
		return momentTexts
	}
	read := 0 // bytes of a text
	for _, t := range s.targets {
		read += 4 * t.In * task.Elements(x.Shapes(1)[0])
	}
	return max(1, min(momentTexts, momentBytes/max(1, read)))
}

// calibrate fills stats with what the methods need, from the cache or from a pass over calibration data.
func (s *compression) calibrate(ctx context.Context) error {
	n := s.needs()
	if n.Fisher {
		err := s.cached(ctx, "fisher", s.targets, s.cfg.Compress.Calibration.FisherBatch, func(c *collector) (map[string]*Statistics, error) {
			f := newFisherSums(s.targets, false)
			total, err := c.run(f.options(s.loaded.Session.Store()), func(*model.Program, []int) error { return nil })
			f.finish(total)
			return f.layers, err
		}, s.stats)
		if err != nil {
			return err
		}
		for _, t := range s.targets {
			if err := s.stats[t.Name].check(t.Name); err != nil {
				return err
			}
		}
	}
	if !n.Moments {
		return nil
	}
	if err := s.data.Read(ctx); err != nil {
		return task.Refusef("compress: cannot start: calibration: %w", err)
	}
	return s.cached(ctx, "moments", s.targets, s.momentBatch(), func(c *collector) (map[string]*Statistics, error) {
		m := newMoments(s.targets)
		_, err := c.run(m.options(), m.add)
		m.finish()
		return m.layers, err
	}, s.stats)
}

// groupEntries bounds how many weights have Fisher information of their own in memory at once: 8 bytes each.
const groupEntries = 1 << 25

// entries returns the Fisher information of each weight of a target, which it computes for as many of the layers from
// that on as fit into memory.
func (s *compression) entries(ctx context.Context, t Target) ([]float64, error) {
	if got := s.group[t.Name]; got != nil {
		return got.Entries, nil
	}
	var group []Target
	n := 0
	for _, x := range s.targets {
		if len(group) == 0 && x.Name != t.Name || !s.cfg.Compress.needs(x.Method).Entries {
			continue
		}
		if n += x.DenseParams(); n > groupEntries && len(group) > 0 {
			break
		}
		group = append(group, x)
	}
	s.group = map[string]*Statistics{}
	for _, x := range group {
		s.group[x.Name] = &Statistics{}
	}
	err := s.cached(ctx, "entries", group, s.cfg.Compress.Calibration.FisherBatch, func(c *collector) (map[string]*Statistics, error) {
		f := newFisherSums(group, true)
		total, err := c.run(f.options(s.loaded.Session.Store()), func(*model.Program, []int) error { return nil })
		f.finish(total)
		return f.layers, err
	}, s.group)
	if err != nil {
		return nil, err
	}
	return s.group[t.Name].Entries, nil
}

// collector runs calibration data through the network.
type collector struct {
	ctx   context.Context
	s     *compression
	kind  string
	batch int // texts a run
}

// samples are how many texts are read in whole batches.
func (s *compression) samples(batch int) int {
	return (s.cfg.Compress.Calibration.Examples + batch - 1) / batch * batch
}

// run goes on until enough texts were seen and returns the number of their targets. after is told of each run, and how many
// tokens of each of its rows count; nil: all.
func (c *collector) run(opts model.Options, after func(p *model.Program, lengths []int) error) (int, error) {
	data, err := c.s.loaded.Calibrate(c.ctx, c.s.data, c.batch, c.s.cfg.Seed, opts)
	if err != nil {
		return 0, fmt.Errorf("compress: cannot start: %w", err)
	}
	facts := c.s.data.Facts()
	steps := c.s.samples(c.batch) / c.batch
	unit := facts.Each + "s"
	fmt.Fprintf(c.s.out, "%s: %d layers over %d %s (%s)\n", c.kind, len(c.s.targets), steps*c.batch, unit, facts.Line)
	progress := progress.New(c.s.out, steps, 0)
	progress.Counts(unit)
	defer progress.Close()
	targets, loss := 0, 0.0
	for i := range steps {
		if err := c.ctx.Err(); err != nil {
			return 0, err
		}
		p, n, err := data.Next()
		if err == nil {
			err = p.Run()
		}
		if err != nil {
			return 0, err
		}
		if loss += p.Loss(); !kernel.Finite(loss) {
			return 0, fmt.Errorf("compress: the loss on the calibration data is %v; want a model whose weights and losses are finite", loss)
		}
		if err := after(p, data.Lengths()); err != nil {
			return 0, err
		}
		targets += n
		progress.Step(i+1, loss/float64(max(targets, 1)), math.NaN())
	}
	if targets == 0 {
		return 0, refusef("calibration: %d %s have no target of the loss", steps*c.batch, unit)
	}
	return targets, nil
}

// fisherSums accumulates squared gradients of the weights of some layers, in float64:
//
//	F_ij = 1/N sum over batches of (dL_b / dW_ij)²
//
// with L_b the loss summed over a batch's targets and N the number of all targets. With batches of one text this is the
// empirical Fisher information (Hsu et al. 2022, equation 1) up to a factor that all weights share; a larger batch gives
// the same sum as long as texts' gradients do not correlate, which they do a little.
type fisherSums struct {
	layers  map[string]*Statistics // by name
	entries bool
}

func newFisherSums(ts []Target, entries bool) *fisherSums {
	f := &fisherSums{map[string]*Statistics{}, entries}
	for _, t := range ts {
		s := &Statistics{Rows: make([]float64, t.Out), Cols: make([]float64, t.In)}
		if entries {
			s = &Statistics{Entries: make([]float64, t.Out*t.In)}
		}
		f.layers[t.Name] = s
	}
	return f
}

// options makes a session deliver only the gradients of these layers' weights.
func (f *fisherSums) options(store *nn.Store) model.Options {
	sink := nn.NewLayerGradients(store)
	sink.Update = f.add
	return model.Options{Sink: sink, Frozen: func(name string) bool {
		layer, weight := strings.CutSuffix(name, ".weight")
		return !weight || f.layers[layer] == nil
	}}
}

// add squares the gradient of a weight, or of its rows from an element on, as nn.LayerGradients delivers it.
func (f *fisherSums) add(name string, grad *tensor.Dense, from int) error {
	layer := strings.TrimSuffix(name, ".weight")
	s, g := f.layers[layer], grad.Float32s()
	if f.entries {
		dst := s.Entries[from:]
		kernel.Ranges(len(g), 1<<14, func(lo, hi int) {
			for i, x := range g[lo:hi] {
				dst[lo+i] += float64(x) * float64(x)
			}
		})
		return nil
	}
	in := len(s.Cols)
	rows, first := len(g)/in, from/in
	kernel.Ranges(rows, 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			s.Rows[first+i] += kernel.SumSquares(g[i*in : (i+1)*in])
		}
	})
	kernel.Ranges(in, 128, func(lo, hi int) { // each column's sum goes down the rows, whatever the ranges
		for i := range rows {
			row, dst := g[i*in+lo:i*in+hi], s.Cols[lo:hi]
			for j, x := range row {
				dst[j] += float64(x) * float64(x)
			}
		}
	})
	if sum := s.Rows[first]; !kernel.Finite(sum) {
		return fmt.Errorf("compress: the gradient of %s is %v on the calibration data; want finite weights and losses", name, sum)
	}
	return nil
}

// finish divides the sums by the number of targets.
func (f *fisherSums) finish(targets int) {
	for _, s := range f.layers {
		for _, x := range [][]float64{s.Rows, s.Cols, s.Entries} {
			for i := range x {
				x[i] /= float64(targets)
			}
		}
	}
}

// siteSuffix follows a layer's name in the name of the value that it reads.
const siteSuffix = ".input"

// moments accumulates the inputs' moments of some layers, in float64. Layers that read one value share the memory of its.
type moments struct {
	targets []Target
	layers  map[string]*Statistics
	rows    map[string]int    // inputs seen
	first   map[string]string // of the layers that read one value, by each of them; nil: not known yet
	values  []float64         // that a layer has read in a run
	square  []float64         // a layer's moment while it is added to
}

func newMoments(ts []Target) *moments {
	m := &moments{targets: ts, layers: map[string]*Statistics{}, rows: map[string]int{}}
	return m
}

// share finds out which layers read one value.
func (m *moments) share(p *model.Program) {
	m.first = map[string]string{}
	for i, t := range m.targets {
		site := p.Site(t.Name + siteSuffix)
		m.first[t.Name] = t.Name
		for _, o := range m.targets[:i] {
			if p.Site(o.Name + siteSuffix).Same(site) {
				m.first[t.Name] = m.first[o.Name]
				break
			}
		}
		if first := m.first[t.Name]; first != t.Name {
			m.layers[t.Name] = m.layers[first]
			continue
		}
		m.layers[t.Name] = &Statistics{Moment: newTriangle(t.In), Size: make([]float64, t.In)}
	}
}

// options makes a session keep the inputs of these layers.
func (m *moments) options() model.Options {
	var sites []string
	for _, t := range m.targets {
		sites = append(sites, t.Name+siteSuffix)
	}
	return model.Options{Sites: sites}
}

// add takes the inputs of a run, of which those that belong to no token are left out.
func (m *moments) add(p *model.Program, lengths []int) error {
	if m.first == nil {
		m.share(p)
	}
	for _, t := range m.targets {
		if m.first[t.Name] != t.Name {
			continue
		}
		site := p.Site(t.Name + siteSuffix)
		m.values = site.Append(m.values[:0])
		x := m.values
		n := valid(x, site.Count, t.In, lengths)
		if !kernel.AllFinite(x[:n*t.In]) {
			return fmt.Errorf("compress: an input of %s is not finite on the calibration data; want finite weights", t.Name)
		}
		s := m.layers[t.Name]
		m.rows[t.Name] += n
		m.square = slices.Grow(m.square[:0], t.In*t.In)[:t.In*t.In]
		s.Moment.unpack(m.square, t.In)
		kernel.Gemm(true, false, t.In, t.In, n, 1, x, t.In, x, t.In, 1, m.square, t.In) // symmetric to the bit
		s.Moment.pack(m.square, t.In)
		for i := range n {
			for j, v := range x[i*t.In : (i+1)*t.In] {
				s.Size[j] += math.Abs(v)
			}
		}
	}
	return nil
}

// valid moves the rows of x [rows, width] that count to the front and returns their number. Rows are tokens, of texts
// padded to one length, or texts.
func valid(x []float64, rows, width int, lengths []int) int {
	if lengths == nil {
		return rows
	}
	n, each := 0, rows/len(lengths)
	for text, length := range lengths {
		for i := range min(length, each) {
			copy(x[n*width:(n+1)*width], x[(text*each+i)*width:])
			n++
		}
	}
	return n
}

// finish divides the sums by the number of inputs.
func (m *moments) finish() {
	for name, s := range m.layers {
		if m.first[name] != name {
			continue
		}
		scale := 1 / float64(max(m.rows[name], 1))
		kernel.Scale(scale, s.Moment)
		kernel.Scale(scale, s.Size)
	}
}
