package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/data/cubes"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/restore"
	"sparrow/saved"
	"sparrow/task"
)

// restoreFlags are those of model restore.
type restoreFlags struct {
	out, preview, report, task, mask, key string
	sigma, rank, basis, prior, reference  string
	scale, steps                          int
	eval, asJSON, last                    bool
	missing                               float64
	seeds                                 int
}

func restoreCommand() *cobra.Command {
	var f restoreFlags
	c := &cobra.Command{
		Use:   "restore [RUN|CHECKPOINT] CUBE -o FILE",
		Short: "Take noise out of a picture of many bands, fill it in or enlarge it",
		Long: "Take noise out of a picture of many bands, as imaging spectrometers make them; fill in what a mask hides; or make it larger.\n" +
			"A cube is read from a file " + cubes.Formats + ". Noise and rank are found from the cube, whose components are\n" +
			"restored by a prior: bm3d and tv need no training, none is low rank alone, and a run of a denoiser is one of its own.\n\n" +
			"--eval spoils a clean cube instead, restores it in every way and prints how near each comes.",
		Example: "  model restore scene.mat -o clean.npy --preview seen.png\n  model restore scene.npy -o filled.npy --task inpaint --mask known.npy\n" +
			"  model restore scene.hdr -o large.npy --task sr --scale 2\n  model restore clean.mat --eval --sigma 30,50,10-70\n" +
			"  model restore runs/hsi-prior scene.mat -o clean.npy",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			err := f.run(ctx, args)
			if ctx.Err() != nil {
				return shell.ErrInterrupted
			}
			if errors.Is(err, restore.ErrConfig) || errors.Is(err, cubes.ErrFile) || errors.Is(err, os.ErrNotExist) {
				return cli.Usagef("%w", err)
			}
			return err
		},
	}
	c.Flags().StringVarP(&f.out, "output", "o", "", "array of numpy to write: rows, columns, bands")
	c.Flags().StringVar(&f.preview, "preview", "", "PNG `FILE` to write: the cube before and after, in false colours")
	c.Flags().StringVar(&f.report, "report", "", "JSON `FILE` to write: rank, spectrum, noise and what was taken away, by band")
	c.Flags().StringVar(&f.task, "task", "denoise", "what is wrong: denoise, inpaint or sr")
	c.Flags().StringVar(&f.mask, "mask", "", "of inpaint: `FILE` with 1 for known values, of the pixels or of the whole cube")
	c.Flags().IntVar(&f.scale, "scale", 0, "of sr: pixels a side that become of one, 2 to 8")
	c.Flags().StringVar(&f.sigma, "sigma", found, "deviation of the noise: auto, a number for all bands, or a text `FILE` with one for each; with --eval those to add, as in 30,50,10-70, of 255")
	c.Flags().StringVar(&f.rank, "rank", found, "components: auto, as many as stand out of the noise, or a number")
	c.Flags().StringVar(&f.basis, "basis", "eigen", "what the prior sees: eigen, images of the components, or bands, chosen by rank-revealing QR")
	c.Flags().StringVar(&f.prior, "prior", "", "what pictures are like: bm3d, tv, none or network, that of RUN (default: network with a RUN, else bm3d)")
	c.Flags().IntVar(&f.steps, "steps", 0, "of inpaint and sr: `N` rounds of the prior and the data (0: 6)")
	c.Flags().StringVar(&f.key, "key", "", "`NAME` of the array in a MAT file (empty: the one that looks like a cube)")
	c.Flags().StringVar(&f.reference, "reference", "", "clean cube in a `FILE` to measure the result against; it changes nothing of that")
	c.Flags().BoolVar(&f.eval, "eval", false, "spoil the cube, restore it in every way, and compare")
	c.Flags().Float64Var(&f.missing, "missing", 0.8, "with --eval and inpaint: share of the values that is hidden")
	c.Flags().IntVar(&f.seeds, "seeds", 1, "with --eval: draws of the noise to take the mean over")
	c.Flags().BoolVar(&f.asJSON, "json", false, "with --eval: print a JSON object a line")
	c.Flags().BoolVar(&f.last, "last", false, "of a run, use the newest checkpoint, not the best")
	cli.Threads(c)
	return c
}

// found is the value of --sigma and --rank that leaves them to the cube.
const found = "auto"

// priors by name, without a network.
var priors = []restore.Prior{restore.BM3D{}, restore.TV{}, restore.None{}}

// networkPrior is what the denoiser of a run knows of pictures.
type networkPrior struct {
	denoiser task.Denoiser
	session  *model.Session
}

// Name implements restore.Prior.
func (networkPrior) Name() string { return "network" }

// Denoise implements restore.Prior.
func (p networkPrior) Denoise(ctx context.Context, picture []float64, height, width int, sigma float64) ([]float64, error) {
	return p.denoiser.Denoise(ctx, p.session, picture, height, width, sigma)
}

// choose is the prior that the flags name, and the network of a run, if there is one.
func (f *restoreFlags) choose(args []string) (chosen restore.Prior, trained []restore.Prior, err error) {
	if len(args) == 2 {
		l, err := saved.Open(args[0], f.last, model.Options{Packed: true})
		if err != nil {
			return nil, nil, err
		}
		d, ok := l.Task.(task.Denoiser)
		if !ok {
			return nil, nil, cli.Usagef("%s holds a model of %ss, which is no prior; want one of kind = \"denoiser\"", l.Dir, l.Task.Facts().Each)
		}
		trained = []restore.Prior{networkPrior{d, l.Session}}
	}
	if f.prior == "" {
		f.prior = append(trained, priors...)[0].Name()
	}
	for _, p := range append(trained, priors...) {
		if p.Name() == f.prior {
			return p, trained, nil
		}
	}
	return nil, nil, cli.Usagef("--prior %s; want bm3d, tv, none or, with a RUN, network", f.prior)
}

func (f *restoreFlags) run(ctx context.Context, args []string) error {
	chosen, trained, err := f.choose(args)
	if err != nil {
		return err
	}
	path := args[len(args)-1]
	rank := 0
	if f.rank != found {
		n, err := strconv.Atoi(f.rank)
		if err != nil || n < 1 {
			return cli.Usagef("--rank %s; want auto or a number of 1 or more", f.rank)
		}
		rank = n
	}
	cube, err := cubes.Open(path, cubes.Options{Key: f.key})
	if err != nil {
		return err
	}
	if f.eval {
		if f.out != "" || f.preview != "" || f.report != "" || f.reference != "" || f.mask != "" {
			return cli.Usagef("--eval writes no file and makes its own mask; leave -o, --preview, --report, --reference and --mask out")
		}
		return f.evaluate(ctx, cube, rank, trained)
	}
	if f.out == "" {
		return cli.Usagef("want -o FILE.npy, the cube to write, or --eval")
	}
	cfg := restore.Config{Task: restore.Task(f.task), Basis: restore.Basis(f.basis), Rank: rank, Prior: chosen, Scale: f.scale, Steps: f.steps}
	if cfg.Sigma, err = deviations(f.sigma); err != nil {
		return err
	}
	if f.mask != "" {
		m, err := cubes.Open(f.mask, cubes.Options{})
		if err != nil {
			return err
		}
		if cfg.Known, err = knownOf(m, cube); err != nil {
			return err
		}
	}
	began := time.Now()
	shown := &patient{began: began}
	r, err := restore.Run(ctx, cube, cfg, shown.step)
	shown.close()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.write(cube, r, time.Since(began))
}

// deviations reads --sigma; nil: they are estimated.
func deviations(s string) ([]float64, error) {
	if s == found {
		return nil, nil
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		return []float64{v}, nil
	}
	text, err := os.ReadFile(s)
	if err != nil {
		return nil, cli.Usagef("--sigma %s; want auto, a number, or a text file with one for each band: %w", s, err)
	}
	var sigma []float64
	for i, word := range strings.Fields(string(text)) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, cli.Usagef("--sigma %s: number %d is %q; want a deviation", s, i+1, word)
		}
		sigma = append(sigma, v)
	}
	if len(sigma) == 0 {
		return nil, cli.Usagef("--sigma %s is empty; want a deviation for each band", s)
	}
	return sigma, nil
}

// knownOf are the marks of a mask.
func knownOf(m, cube *cubes.Cube) ([]bool, error) {
	if m.Height != cube.Height || m.Width != cube.Width || m.Bands != 1 && m.Bands != cube.Bands {
		return nil, cli.Usagef("--mask has %d x %d pixels in %d bands; want %d x %d, in one band or in %d", m.Height, m.Width, m.Bands, cube.Height, cube.Width, cube.Bands)
	}
	known := make([]bool, len(m.Data))
	for i, v := range m.Data {
		known[i] = v != 0
	}
	return known, nil
}

// write writes and prints what was made.
func (f *restoreFlags) write(cube *cubes.Cube, r *restore.Result, took time.Duration) error {
	if err := checkpoints.StreamFileAtomic(f.out, func(w io.Writer) error { return cubes.WriteNPY(w, r.Cube) }); err != nil {
		return err
	}
	if f.preview != "" {
		var b bytes.Buffer
		if err := png.Encode(&b, restore.Preview(cube, r.Cube)); err != nil {
			return err
		}
		if err := checkpoints.WriteFileAtomic(f.preview, b.Bytes()); err != nil {
			return err
		}
	}
	report := newReport(f, r, took)
	if f.report != "" {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		if err := checkpoints.WriteFileAtomic(f.report, append(text, '\n')); err != nil {
			return err
		}
	}
	report.print(os.Stdout, r)
	if f.reference != "" {
		clean, err := cubes.Open(f.reference, cubes.Options{})
		if err != nil {
			return err
		}
		if clean.Height != r.Cube.Height || clean.Width != r.Cube.Width || clean.Bands != r.Cube.Bands {
			return cli.Usagef("--reference has %d x %d pixels in %d bands; want %d x %d in %d", clean.Height, clean.Width, clean.Bands, r.Cube.Height, r.Cube.Width, r.Cube.Bands)
		}
		scale := cubes.RangeOf(clean)
		q := restore.Compare(clean.Scaled(scale, true), r.Cube.Scaled(scale, false), float64(max(f.scale, 1)))
		fmt.Printf("reference   PSNR %.2f dB, SSIM %.4f, SAM %.4f, ERGAS %.3f\n", q.PSNR, q.SSIM, q.SAM, q.ERGAS)
	}
	fmt.Printf("cube        %s\n", f.out)
	if f.preview != "" {
		fmt.Printf("preview     %s\n", f.preview)
	}
	return nil
}

// patient shows progress once a command has taken long enough.
type patient struct {
	began time.Time
	shown *progress.Progress
}

func (p *patient) step(done, total int) {
	if p.shown == nil {
		if time.Since(p.began) < patience {
			return
		}
		p.shown = progress.New(os.Stderr, total, done-1)
		p.shown.Plain()
	}
	p.shown.Step(done, 0, 0)
}

func (p *patient) close() {
	if p.shown != nil {
		p.shown.Close()
	}
}

// evaluate prints how near each way comes to the clean cube.
func (f *restoreFlags) evaluate(ctx context.Context, cube *cubes.Cube, rank int, trained []restore.Prior) error {
	if f.sigma == found {
		return cli.Usagef("--eval wants --sigma: deviations to add to values from 0 to 255, as in 30,50,10-70")
	}
	if f.seeds < 1 || f.seeds > 1000 {
		return cli.Usagef("--seeds %d; want 1 to 1000", f.seeds)
	}
	if err := cube.Check(); err != nil {
		return err
	}
	clean := cube.Scaled(cubes.RangeOf(cube), true)
	for _, noise := range strings.Split(f.sigma, ",") {
		var sum []restore.Row
		shown := &patient{began: time.Now()}
		for seed := range f.seeds {
			c := restore.Case{Task: restore.Task(f.task), Noise: noise, Seed: uint64(seed), Missing: f.missing, Scale: f.scale, Rank: rank, Steps: f.steps}
			rows, err := restore.Evaluate(ctx, clean, c, trained, func(done, total int) { shown.step(seed*total+done, f.seeds*total) })
			if err != nil {
				return err
			}
			sum = meanRows(sum, rows, seed)
		}
		shown.close()
		if err := f.printRows(os.Stdout, noise, sum); err != nil {
			return err
		}
	}
	return nil
}

// meanRows adds the rows of one more draw to the mean of those before it.
func meanRows(mean, rows []restore.Row, before int) []restore.Row {
	if before == 0 {
		return rows
	}
	for i, r := range rows {
		m, n := &mean[i], float64(before+1)
		m.Quality.PSNR += (r.Quality.PSNR - m.Quality.PSNR) / n
		m.Quality.SSIM += (r.Quality.SSIM - m.Quality.SSIM) / n
		m.Quality.SAM += (r.Quality.SAM - m.Quality.SAM) / n
		m.Quality.ERGAS += (r.Quality.ERGAS - m.Quality.ERGAS) / n
		m.Seconds += (r.Seconds - m.Seconds) / n
	}
	return mean
}

func (f *restoreFlags) printRows(w io.Writer, noise string, rows []restore.Row) error {
	if f.asJSON {
		e := json.NewEncoder(w)
		for _, r := range rows {
			if err := e.Encode(map[string]any{"task": f.task, "noise": noise, "name": r.Name, "chosen_by_truth": r.Truth, "rank": r.Rank, "psnr": r.Quality.PSNR,
				"ssim": r.Quality.SSIM, "sam": r.Quality.SAM, "ergas": r.Quality.ERGAS, "seconds": r.Seconds}); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Fprintf(w, "%s, noise %s of 255\n%-28s  %4s  %6s  %6s  %6s  %8s  %7s\n", f.task, noise, "", "rank", "PSNR", "SSIM", "SAM", "ERGAS", "seconds")
	for _, r := range rows {
		name := r.Name
		if r.Truth != "" {
			name += " *"
		}
		k := "-"
		if r.Rank > 0 {
			k = strconv.Itoa(r.Rank)
		}
		fmt.Fprintf(w, "%-28s  %4s  %6.2f  %6.4f  %6.4f  %8.3f  %7.1f\n", name, k, r.Quality.PSNR, r.Quality.SSIM, r.Quality.SAM, r.Quality.ERGAS, r.Seconds)
	}
	for _, r := range rows {
		if r.Truth != "" {
			fmt.Fprintln(w, "* the clean cube chose rank or weight")
			break
		}
	}
	return nil
}
