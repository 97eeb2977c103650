package interpret

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"sparrow/kernel"
	"sparrow/model/decode"
	"sparrow/saved"
	"sparrow/task"
)

// Choice names a feature: of a layer, of a method ("": snmf), by its number.
type Choice struct {
	Layer   int
	Method  string
	Feature int
}

// String is how a choice is written: LAYER:FEATURE or LAYER:METHOD/FEATURE.
func (c Choice) String() string {
	if c.Method == "" || c.Method == SNMF {
		return fmt.Sprintf("%d:%d", c.Layer, c.Feature)
	}
	return fmt.Sprintf("%d:%s/%d", c.Layer, c.Method, c.Feature)
}

// ParseSteer reads FOLDER:LAYER:FEATURE or FOLDER:LAYER:METHOD/FEATURE.
func ParseSteer(text string) (folder string, c Choice, err error) {
	wrong := func() (string, Choice, error) {
		return "", c, task.Refusef("--steer %s; want FEATURES:LAYER:FEATURE, as in runs/features:2:7, or FEATURES:LAYER:METHOD/FEATURE", text)
	}
	rest, last, ok := cutLast(text)
	if !ok {
		return wrong()
	}
	folder, layer, ok := cutLast(rest)
	if !ok || folder == "" {
		return wrong()
	}
	if method, number, has := strings.Cut(last, "/"); has {
		c.Method, last = method, number
	}
	if c.Layer, err = strconv.Atoi(layer); err != nil {
		return wrong()
	}
	if c.Feature, err = strconv.Atoi(last); err != nil {
		return wrong()
	}
	return folder, c, nil
}

// cutLast cuts at the last colon.
func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// Steering is what is added to a model so that its next token changes by so much.
type Steering struct {
	Choice  Choice
	Wanted  float64 // KL divergence, nats; its sign is the direction's
	KL      float64 // reached
	Alpha   float64 // by which the direction of norm 1 in its own site is multiplied
	Looks   int     // at the contexts, until it was found
	Add     decode.Addition
	Context int // how many
}

// String is a line for people and for repeating: with --alpha the same text is written.
func (s Steering) String() string {
	return fmt.Sprintf("steer       %s, alpha %s: KL %.4f of %g over %d contexts, found in %d looks", s.Choice, strconv.FormatFloat(s.Alpha, 'g', -1, 64), s.KL, s.Wanted, s.Context, s.Looks)
}

// Limits of the search.
const (
	klTolerance = 0.02 // of the divergence, relative: less than what is promised, 0.05
	mostLooks   = 10
	mostNorms   = 1000.0 // times the mean norm of the site: more is not looked at
)

// errUnmet says that no strength gives the divergence.
var errUnmet = errors.New("the divergence cannot be reached")

// Steer finds how much of a feature is to be added to every token so that the mean KL divergence of the next token from what it
// would be is kl nats, over contexts that the folder keeps; below 0 the feature is taken away by as much. Divergences that cannot
// be reached are an error.
func (f *Folder) Steer(ctx context.Context, l *saved.Model, c Choice, kl float64) (Steering, error) {
	if !(math.Abs(kl) > 0) || math.Abs(kl) > 20 {
		return Steering{}, task.Refusef("a KL divergence of %g nats; want more than 0 and at most 20, or as much below 0 for less of the feature", kl)
	}
	s, err := f.steered(l, c)
	if err != nil {
		return Steering{}, err
	}
	p, err := newProbes(ctx, l, c.Layer, s.site, f.calibrating())
	if err != nil {
		return Steering{}, err
	}
	found, err := s.search(ctx, p, kl)
	if err != nil {
		return found, fmt.Errorf("steering by %s of %s: %w", c, f.Dir, err)
	}
	return found, nil
}

// Fixed is the steering by a strength that was found before.
func (f *Folder) Fixed(l *saved.Model, c Choice, alpha float64) (Steering, error) {
	if alpha == 0 || alpha-alpha != 0 {
		return Steering{}, task.Refusef("a strength of %g; want a number that is not 0", alpha)
	}
	s, err := f.steered(l, c)
	if err != nil {
		return Steering{}, err
	}
	return Steering{Choice: c, Alpha: alpha, Add: s.addition(alpha)}, nil
}

// calibrating are the contexts that strengths are found on.
func (f *Folder) calibrating() [][]int { return f.Probes[:min(calibrating, len(f.Probes))] }

// direction is one feature as it is written into the residual stream.
type direction struct {
	choice Choice
	site   string
	vector []float64
	norm   float64 // mean, of what the feature is of
}

// steered finds the direction of a choice.
func (f *Folder) steered(l *saved.Model, c Choice) (*direction, error) {
	if err := f.Check(l); err != nil {
		return nil, err
	}
	s, err := f.Find(c.Layer, c.Method)
	if err != nil {
		return nil, err
	}
	if c.Feature < 0 || c.Feature >= len(s.Features) {
		return nil, task.Refusef("%s has no feature %d of layer %d by %s; want 0 to %d", f.Dir, c.Feature, c.Layer, s.Method, len(s.Features)-1)
	}
	site, directions, err := s.written(l)
	if err != nil {
		return nil, err
	}
	return s.direction(site, directions.Row(c.Feature), c.Feature), nil
}

// direction is a row of what the set writes.
func (s *Set) direction(site string, row []float64, feature int) *direction {
	return &direction{Choice{s.Layer, s.Method, feature}, site, row, s.Norm}
}

// addition is what is added to every token.
func (d *direction) addition(alpha float64) decode.Addition {
	a := decode.Addition{Site: d.site, Vector: make([]float32, len(d.vector))}
	for i, x := range d.vector {
		a.Vector[i] = float32(alpha * x)
	}
	return a
}

// search is a secant on the logarithms of strength and divergence, within the bracket that is known: near 0 the divergence grows
// with the square of the strength, so that the first guess is by that.
func (d *direction) search(ctx context.Context, p *probes, kl float64) (Steering, error) {
	target, sign := math.Log(math.Abs(kl)), math.Copysign(1, kl)
	found := Steering{Choice: d.choice, Wanted: kl, Context: len(p.base)}
	if kernel.SumSquares(d.vector) == 0 {
		return found, task.Refuse(fmt.Errorf("%w: the feature writes nothing", errUnmet))
	}
	low, high := math.Inf(-1), math.Log(mostNorms*d.norm) // of log alpha
	x, slope := math.Log(0.3*d.norm), 2.0
	lastX, lastY, has := 0.0, 0.0, false
	best := math.Inf(1)
	for found.Looks < mostLooks {
		found.Looks++
		reached, err := p.divergence(ctx, d.vector, sign*math.Exp(x))
		if err != nil && !errors.Is(err, errBroken) {
			return found, err
		}
		if err != nil || reached-reached != 0 {
			high = x
			x = next(low, high, x-2)
			continue
		}
		y := math.Log(math.Max(reached, 1e-300)) - target
		if math.Abs(y) < best {
			best, found.KL, found.Alpha = math.Abs(y), reached, sign*math.Exp(x)
		}
		if math.Abs(math.Expm1(y)) <= klTolerance {
			found.Add = d.addition(found.Alpha)
			return found, nil
		}
		if y < 0 {
			low = math.Max(low, x)
		} else {
			high = math.Min(high, x)
		}
		if has && x != lastX {
			if s := (y - lastY) / (x - lastX); s > 0.1 && s < 20 {
				slope = s
			}
		}
		lastX, lastY, has = x, y, true
		if y < 0 && x >= math.Log(mostNorms*d.norm)-1e-9 {
			break
		}
		x = next(low, high, x-math.Max(-4, math.Min(4, y/slope)))
	}
	if best <= math.Log(1.05) {
		found.Add = d.addition(found.Alpha)
		return found, nil
	}
	return found, task.Refuse(fmt.Errorf("%w: alpha %.4g gives %.4g of %g nats after %d looks; ask for another, or take another feature", errUnmet, found.Alpha, found.KL, kl, found.Looks))
}

// next is a guess within the bracket, or where it leaves that the middle.
func next(low, high, x float64) float64 {
	switch {
	case x >= high && math.IsInf(low, -1):
		return high
	case x >= high || x <= low:
		return (low + high) / 2
	}
	return x
}
