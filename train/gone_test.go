package train

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/model/encoder"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// TestDataGone: a checkpoint alone predicts or writes, for every kind of task.
func TestDataGone(t *testing.T) {
	vocab := filepath.Join(t.TempDir(), "vocab.txt")
	if err := os.WriteFile(vocab, []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nline\nof\n0\n##0\n1\n##1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	language, texts, vision, masked := smallConfig(t), labelledConfig(t, "a", "b"), imageConfig(t), smallConfig(t)
	masked.Model = recipe.ModelOf(encoder.Default())
	configs.Edit(&masked.Model.OneOf, func(b *encoder.Config) { b.DModel, b.NLayer, b.Attention.NHead = 16, 1, 2 })
	configs.Edit(&masked.Data.OneOf, func(s *text.Files) { s.Tokenizer = vocab })
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 9, 9))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  recipe.Config
		data string
		in   func() task.Input
	}{
		"language": {language, language.Data.Of.(text.Files).Paths[0], nil},
		"masked":   {masked, masked.Data.Of.(text.Files).Paths[0], nil},
		"texts":    {texts, texts.Data.Of.(labelled.Table).Train, func() task.Input { return task.Input{Texts: []string{"some word1"}} }},
		"vision":   {vision, vision.Data.Of.(images.Folder).Root, func() task.Input { return task.Input{Image: bytes.NewReader(picture.Bytes())} }},
	} {
		t.Run(name, func(t *testing.T) {
			dir, alone := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "alone")
			c.cfg.Train.Steps, c.cfg.Eval.Every = 2, 2
			r, err := mustTrain(t, c.cfg, dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(r.Best, alone); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{dir, c.data} {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			}
			m, err := saved.Open(alone, false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			answer := func(s *model.Session) (string, error) {
				if p, ok := m.Task.(task.Predictor); ok {
					found, err := p.Predict(ctx, s, []task.Input{c.in()})
					if err != nil || len(found[0]) == 0 {
						return "", err
					}
					return found[0][0].Name, nil
				}
				g, ok := m.Task.(task.Generator)
				if !ok { // of a masked language model there is the network
					_, err := s.Program(model.Score, m.Task.(interface{ Shapes(int) []model.Shape }).Shapes(1)[0])
					return "-", err
				}
				return written(ctx, s, g.Tokenizer())
			}
			want, err := answer(m.Session)
			if err != nil || want == "" {
				t.Fatalf("%q, %v", want, err)
			}
			other, err := m.Config.Model.NewSession(m.Dims, m.Session.Store(), model.Options{}) // over the same weights
			if err != nil {
				t.Fatal(err)
			}
			if got, err := answer(other); err != nil || got != want {
				t.Errorf("another session answers %q, %v; want %q", got, err, want)
			}
			if _, err := checkpoints.Open(alone); err != nil {
				t.Error(err)
			}
		})
	}
}

// written is what the model continues a text by.
func written(ctx context.Context, s *model.Session, tokenizer tokenizers.Tokenizer) (string, error) {
	ids, err := tokenizer.Encode("line")
	if err != nil {
		return "", err
	}
	out := slices.Clone(ids)
	err = decode.Generate(ctx, s, [][]int{ids}, decode.Request{Tokens: 5}, func(_, token int) error {
		out = append(out, token)
		return nil
	})
	return tokenizer.Decode(out), err
}
