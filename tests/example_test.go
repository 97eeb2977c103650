package tests

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// docs/library.md shows this function as it stands here.
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
