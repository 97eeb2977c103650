package tests

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sparrow"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// docs/library.md shows these functions as they stand here.
func labelAndWrite(ctx context.Context, classifier, writer string, w io.Writer) error {
	m, err := sparrow.Open(ctx, classifier, sparrow.Options{})
	if err != nil {
		return err
	}
	defer m.Close() // waits for calls under way
	predictions, err := m.Predict(ctx, sparrow.Text("a warm and funny film"))
	if err != nil {
		return err
	}
	fmt.Fprintln(w, predictions[0][0].Name) // the likeliest label

	l, err := sparrow.Open(ctx, writer, sparrow.Options{})
	if err != nil {
		return err
	}
	defer l.Close()
	for text, err := range l.Generate(ctx, "func ", sparrow.GenerateOptions{Tokens: 40}) {
		if err != nil {
			return err
		}
		fmt.Fprint(w, text) // whole characters; the body may use the model
	}
	return nil
}

func trainAndWrite(ctx context.Context, config, dir string, w io.Writer) error {
	cfg, err := recipe.Load(config, []string{"train.steps=20"})
	if err != nil {
		return err // every mistake in the file, with its line
	}
	t, err := train.New(ctx, cfg, dir, false, io.Discard)
	if err != nil {
		return err
	}
	result, err := t.Run(ctx, nil)
	if err != nil {
		return err
	}
	m, err := saved.Open(result.Best, false, model.Options{})
	if err != nil {
		return err
	}
	tokenizer := m.Task.(task.Generator).Tokenizer()
	prompt, err := tokenizer.Encode("func ")
	if err != nil {
		return err
	}
	text := tokenizers.NewStream(tokenizer)
	r := decode.Request{Tokens: 40, Sampler: model.Sampler{Temperature: 0.8, Seed: 1}}
	return decode.Generate(ctx, m.Session, [][]int{prompt}, r, func(_, token int) error {
		_, err := io.WriteString(w, text.Push(token))
		return err
	})
}

func Example() {
	dir, err := os.MkdirTemp("", "sparrow")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var text strings.Builder
	if err := trainAndWrite(context.Background(), "../configs/tiny.toml", filepath.Join(dir, "run"), &text); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("wrote something:", text.Len() > 0)
	// Output: wrote something: true
}
