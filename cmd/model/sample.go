package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

func sampleCommand() *cobra.Command {
	var out, schedule string
	var number, steps int
	var seed uint64
	var last bool
	c := &cobra.Command{
		Use:   "sample RUN|CHECKPOINT -o FILE",
		Short: "Draw pictures with a denoiser that was trained down from noise alone",
		Long: "Draw pictures with a denoiser: from noise, the picture beneath is guessed step by step (DDIM). The run must know noise up to a\n" +
			"deviation of 31 or more, as [model.denoiser] sigma = [0.01, 80.0] says. The file shows all pictures, in rows.",
		Example: "  model sample runs/digits -o drawn.png --number 16 --steps 20",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if number < 1 || number > 10000 {
				return cli.Usagef("--number %d; want 1 to 10000", number)
			}
			l, err := saved.Open(args[0], last, model.Options{Packed: true})
			if err != nil {
				return err
			}
			d, ok := l.Task.(task.Drawer)
			if !ok {
				return cli.Usagef("%s holds a model of %ss, which draws nothing; want one of kind = \"denoiser\"", l.Dir, l.Task.Facts().Each)
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			shown := &patient{began: time.Now()}
			var all []task.Drawn
			for i := range number {
				x, err := d.Draw(ctx, l.Session, task.Drawing{Steps: steps, Schedule: schedule, Seed: seed + uint64(i)})
				if ctx.Err() != nil {
					return shell.ErrInterrupted
				}
				if err != nil {
					return err
				}
				all = append(all, x)
				shown.step(i+1, number)
			}
			shown.close()
			var b bytes.Buffer
			if err := png.Encode(&b, sheet(all)); err != nil {
				return err
			}
			if err := checkpoints.WriteFileAtomic(out, b.Bytes()); err != nil {
				return err
			}
			fmt.Printf("pictures    %d of %d x %d pixels, %d steps each\nfile        %s\n", number, all[0].Side, all[0].Side, steps, out)
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "PNG file to write")
	c.Flags().IntVar(&number, "number", 16, "how many pictures")
	c.Flags().IntVar(&steps, "steps", 20, "guesses for each picture")
	c.Flags().StringVar(&schedule, "schedule", "exp", "how the noise falls: exp, linear or cosine")
	c.Flags().Uint64Var(&seed, "seed", 0, "of the first picture's noise; each one after it has the next")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	c.MarkFlagRequired("output")
	cli.Threads(c)
	return c
}

// sheet shows pictures in rows, about as many as columns.
func sheet(all []task.Drawn) image.Image {
	const gap = 2
	columns := int(math.Ceil(math.Sqrt(float64(len(all)))))
	side := all[0].Side + gap
	m := image.NewGray(image.Rect(0, 0, columns*side-gap, (len(all)+columns-1)/columns*side-gap))
	for i, x := range all {
		top, left := i/columns*side, i%columns*side
		for k, v := range x.Values {
			m.SetGray(left+k%x.Side, top+k/x.Side, color.Gray{Y: uint8(255*min(max(v, 0), 1) + 0.5)})
		}
	}
	return m
}
