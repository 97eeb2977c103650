package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/data"
	"sparrow/internal/cli"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/task/panels"
)

func explainCommand() *cobra.Command {
	var last bool
	var base, out string
	var w wishFlags
	c := &cobra.Command{
		Use:   "explain RUN|CHECKPOINT [IMAGE -o FILE]",
		Short: "Draw what a model of images looks at, or tell why items are recommended",
		Long: "Draw what a model of images looks at in a PNG or JPEG file, as panels in rows: the image and the gradient of the loss\n" +
			"by its pixels. FaViT adds the effective receptive field of the middle of the last map and the attention of each\n" +
			"stage's last block, by groups of FaSA; a vision transformer what of each patch reaches the class token through all\n" +
			"blocks (attention rollout), and what that reads in each. Colours span what a panel names.\n\n" +
			"A model that recommends has each recommendation printed, and below it what speaks for it: the user's items with their\n" +
			"shares of the score, and fields with the weight of their gates.",
		Example: "  model explain runs/mnist-favit digit.png -o seen.png\n" +
			"  model explain runs/movielens-ease --items 'Heat (1995);Fargo' -n 3",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := saved.OpenOn(args[0], base, last, model.Options{})
			if err != nil {
				return err
			}
			if r, ok := l.Task.(task.Recommender); ok {
				if len(args) > 1 || out != "" {
					return cli.Usagef("%s recommends and looks at no images; want --user, --items or --fields", l.Dir)
				}
				return explainRecommendations(c.Context(), os.Stdout, l, r, w)
			}
			explainer, ok := l.Task.(task.Explainer)
			if !ok {
				return cli.Usagef("%s holds a model of %ss, which looks at no images; want kind = \"favit\" or \"vit\"", l.Dir, l.Task.Facts().Each)
			}
			if len(args) < 2 || out == "" {
				return cli.Usagef("want an image and -o FILE, as in: model explain %s digit.png -o seen.png", args[0])
			}
			p, err := explain(c.Context(), explainer, l, args[1])
			if err != nil {
				return cli.Usagef("%w", err)
			}
			var b bytes.Buffer
			if err := panels.WritePNG(&b, fmt.Sprintf("%s: %s, probability %.4f", args[1], p.Prediction[0].Name, p.Prediction[0].X), p); err != nil {
				return err
			}
			if err := checkpoints.WriteFileAtomic(out, b.Bytes()); err != nil {
				return err
			}
			fmt.Printf("label       %s, probability %.4f\n%spicture     %s\n", p.Prediction[0].Name, p.Prediction[0].X, p.Legend(), out)
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "PNG file to write")
	w.flags(c)
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	cli.Threads(c)
	return c
}

// explain draws what the model sees in a file.
func explain(ctx context.Context, e task.Explainer, l *saved.Model, path string) (*task.Picture, error) {
	file, err := data.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p, err := e.Explain(ctx, l.Session, task.Input{Image: file})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}
