package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"sparrow/compress"
	"sparrow/configs"
	"sparrow/saved"
)

// Compressing is a sweep of compressions of one model.
type Compressing struct {
	File string   // config
	Set  []string // overrides of all compressions
	Axes []Axis   // such as compress.method and compress.ratio
	Dir  string   // of the compressions and results
}

// Compress makes all compressions of a grid, those that are not finished yet. A method that cannot become so small, or does not suit the
// model, is noted, and the sweep goes on. Statistics of calibration data are gathered once.
func Compress(ctx context.Context, o Compressing, out io.Writer) (*Report, error) {
	cells, err := Cells(o.Axes)
	if err != nil {
		return nil, err
	}
	store, err := Open(filepath.Join(o.Dir, "results"))
	if err != nil {
		return nil, err
	}
	var jobs []job
	for i, cell := range cells {
		cfg, err := compress.Load(o.File, append(o.Set[:len(o.Set):len(o.Set)], overrides(o.Axes, cell)...))
		if err != nil {
			return nil, err
		}
		if cfg.Compress.Cache == "" {
			cfg.Compress.Cache = filepath.Join(o.Dir, "statistics")
		}
		text, err := configs.Encode(cfg)
		if err != nil {
			return nil, err
		}
		source, err := saved.Find(cfg.Compress.From, false)
		if err != nil {
			return nil, err
		}
		name := label(o.Axes, cell)
		at := folder(name)
		dir := filepath.Join(o.Dir, at)
		jobs = append(jobs, job{i, name, at, Key("compress\n", source, "\n", string(text)), func(ctx context.Context) (Outcome, error) {
			return compressed(ctx, cfg, source, dir, out)
		}})
	}
	if err := distinct(jobs); err != nil {
		return nil, err
	}
	outcomes, err := run(ctx, store, jobs, out)
	if err != nil {
		return nil, err
	}
	columns := []string{"loss"}
	for _, o := range outcomes {
		for _, v := range o.Values {
			if !slices.Contains(columns, v.Name) && !slices.Contains(apart, v.Name) {
				columns = append(columns, v.Name)
			}
		}
	}
	columns = append(columns, megabytes, share)
	r := report(o.Axes, cells, jobs, outcomes, columns, true)
	return r, nil
}

// Names of what a compression has measured beside its score.
const (
	megabytes  = "MB"
	share      = "share_of_bytes"
	parentMB   = "parent_MB"
	parentLoss = "parent_loss"
)

// apart are shown last, or in the picture alone.
var apart = []string{megabytes, share, parentMB, parentLoss}

// compressed makes a compression, or continues what there is of it.
func compressed(ctx context.Context, cfg compress.Config, source, dir string, out io.Writer) (Outcome, error) {
	r, err := compress.Run(ctx, cfg, dir, out)
	if ctx.Err() != nil {
		return Outcome{}, ctx.Err()
	}
	if err != nil {
		if rooms := new(os.PathError); errors.As(err, &rooms) {
			return Outcome{}, err // the disk's, not the method's
		}
		return Outcome{Failed: err.Error()}, nil
	}
	var o Outcome
	q := r.Compressed
	if r.Tuned != nil {
		q = r.Tuned
	}
	if q != nil {
		for _, v := range q.Values {
			o.Values = append(o.Values, Value{v.Name, v.Value})
		}
	}
	own, err := size(filepath.Join(dir, filepath.FromSlash(r.Checkpoint)))
	if err != nil {
		return o, err
	}
	parent, err := size(source)
	if err != nil {
		return o, err
	}
	o.Values = append(o.Values, Value{megabytes, own / 1e6}, Value{share, own / parent}, Value{parentMB, parent / 1e6})
	if r.Before != nil {
		o.Values = append(o.Values, Value{parentLoss, r.Before.Loss()})
	}
	return o, nil
}

// size is that of a checkpoint's arrays on the disk.
func size(dir string) (float64, error) {
	info, err := os.Stat(filepath.Join(dir, "model.npz"))
	if err != nil {
		return 0, fmt.Errorf("sweep: %w", err)
	}
	return float64(info.Size()), nil
}

// Frontier are the rows of which no other is smaller and no worse, by size.
func (r *Report) Frontier() []int {
	type point struct {
		row     int
		mb, bad float64
	}
	var all []point
	for i, row := range r.Rows {
		mb, _, n := row.mean(megabytes)
		bad, _, m := row.mean(r.Columns[0])
		if n > 0 && m > 0 {
			if !r.Falling {
				bad = -bad
			}
			all = append(all, point{i, mb, bad})
		}
	}
	var best []int
	slices.SortStableFunc(all, func(a, b point) int {
		switch {
		case a.mb != b.mb && a.mb < b.mb, a.mb == b.mb && a.bad < b.bad:
			return -1
		case a.mb == b.mb && a.bad == b.bad:
			return 0
		}
		return 1
	})
	least := 0.0
	for i, p := range all {
		if i == 0 || p.bad < least {
			best, least = append(best, p.row), p.bad
		}
	}
	return best
}
