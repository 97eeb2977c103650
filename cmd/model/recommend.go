package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

func recommendCommand() *cobra.Command {
	var last, asJSON bool
	var w wishFlags
	c := &cobra.Command{
		Use:   "recommend RUN|CHECKPOINT",
		Short: "Recommend items to a user",
		Long: "Recommend items to a user of the data, or to somebody of whom some items or fields are known. Prints a line for each item,\n" +
			"the best first: its score, its id and its title, with tabs between them. Nobody is recommended what he has.",
		Example: "  model recommend runs/movielens-ease --user 196\n" +
			"  model recommend runs/movielens-ease --items 'Heat (1995);Fargo' -n 5\n" +
			"  model recommend runs/movielens-towers --fields gender=F,age=31",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, r, err := openRecommender(args[0], last)
			if err != nil {
				return err
			}
			wish, err := w.wish()
			if err != nil {
				return err
			}
			all, err := r.Recommend(c.Context(), l.Session, wish)
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(os.Stdout)
				out.SetEscapeHTML(false)
				return out.Encode(all)
			}
			for _, x := range all {
				fmt.Printf("%.4f\t%s\t%s\n", x.Score, x.ID, x.Title)
			}
			return nil
		},
	}
	w.flags(c)
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	cli.Threads(c)
	return c
}

// wishFlags are the flags that say to whom to recommend.
type wishFlags struct {
	user, items, fields string
	n                   int
}

func (w *wishFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&w.user, "user", "", "id of a user of the data")
	c.Flags().StringVar(&w.items, "items", "", "ids or titles of items that he likes, with semicolons between them")
	c.Flags().StringVar(&w.fields, "fields", "", "fields of a user, as in gender=F,age=31")
	c.Flags().IntVarP(&w.n, "number", "n", 10, "items to recommend")
}

// wish reads the flags; one of them is needed.
func (w *wishFlags) wish() (task.Wish, error) {
	wish := task.Wish{User: w.user, N: w.n}
	for _, item := range strings.Split(w.items, ";") {
		if item = strings.TrimSpace(item); item != "" {
			wish.Items = append(wish.Items, item)
		}
	}
	if w.fields != "" {
		wish.Fields = map[string]string{}
		for _, field := range strings.Split(w.fields, ",") {
			name, value, ok := strings.Cut(field, "=")
			if !ok {
				return wish, cli.Usagef("--fields has %q; want FIELD=VALUE, as in age=31", field)
			}
			wish.Fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	if wish.User == "" && len(wish.Items) == 0 && len(wish.Fields) == 0 {
		return wish, cli.Usagef("nobody to recommend to: want --user, --items or --fields")
	}
	return wish, nil
}

// openRecommender opens a model that recommends.
func openRecommender(path string, last bool) (*saved.Model, task.Recommender, error) {
	l, err := saved.Open(path, last, model.Options{})
	if err != nil {
		return nil, nil, err
	}
	r, ok := l.Task.(task.Recommender)
	if !ok {
		return nil, nil, cli.Usagef("%s holds a model of %ss, which recommends nothing; want one of source = \"interactions\"", l.Dir, l.Task.Facts().Each)
	}
	return l, r, nil
}

// explainRecommendations prints recommendations with what speaks for each.
func explainRecommendations(ctx context.Context, out io.Writer, l *saved.Model, r task.Recommender, w wishFlags) error {
	wish, err := w.wish()
	if err != nil {
		return err
	}
	wish.Why = true
	all, err := r.Recommend(ctx, l.Session, wish)
	if err != nil {
		return err
	}
	for _, x := range all {
		fmt.Fprintf(out, "%.4f\t%s\t%s\n", x.Score, x.ID, x.Title)
		for _, y := range x.Why {
			fmt.Fprintf(out, "  %+.4f\t%s\t%s\n", y.Weight, y.Kind, y.What)
		}
	}
	return nil
}
