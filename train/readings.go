package train

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"

	"sparrow/configs"
	"sparrow/data"
)

// Readings keeps data that has been read, tokens or pixels, for models that read it again in the same way: by the same
// [data] table, tokenizer and labels. It is for one goroutine. A nil one keeps nothing.
type Readings struct{ kept map[string]any }

// readOnce is what read returns, or what it has returned before for the same config and reader.
func readOnce[T any](r *Readings, cfg data.Config, k *kept, read func() (*T, error)) (*T, error) {
	if r == nil {
		return read()
	}
	key, err := k.key(cfg)
	if err != nil {
		return nil, err
	}
	if got, ok := r.kept[key].(*T); ok {
		return got, nil
	}
	got, err := read()
	if err != nil {
		return nil, err
	}
	if r.kept == nil {
		r.kept = map[string]any{}
	}
	r.kept[key] = got
	return got, nil
}

// key identifies what is read and how. Augmentation is for training's loader.
func (k *kept) key(cfg data.Config) (string, error) {
	cfg.Augment = nil
	text, err := configs.Encode(cfg)
	if err != nil {
		return "", fmt.Errorf("train: %w", err)
	}
	labels, err := json.Marshal(k.labels)
	if err != nil {
		return "", fmt.Errorf("train: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", text, labels)
	if k.tokenizer != nil {
		h.Write(k.tokenizer.Save())
	}
	return string(h.Sum(nil)), nil
}

func (k *kept) openText(ctx context.Context, cfg data.Config) (*data.Dataset, error) {
	return readOnce(k.readings, cfg, k, func() (*data.Dataset, error) { return data.OpenWith(ctx, cfg, k.tokenizer) })
}

func (k *kept) openLabelled(ctx context.Context, cfg data.Config) (*data.Labelled, error) {
	return readOnce(k.readings, cfg, k, func() (*data.Labelled, error) {
		return data.OpenLabelledWith(ctx, cfg, k.tokenizer, k.labels.Names)
	})
}

func (k *kept) openImages(ctx context.Context, cfg data.Config) (*data.ImageDataset, error) {
	return readOnce(k.readings, cfg, k, func() (*data.ImageDataset, error) { return data.OpenImagesWith(ctx, cfg, k.labels.Names) })
}

// kept is how the model reads.
func (l *Loaded) kept() *kept { return &kept{l.Tokenizer, l.Labels, l.Images, l.Readings} }

// NewRun is [New] of a run that reads its data as the model does, with its tokenizer and labels.
func (l *Loaded) NewRun(ctx context.Context, cfg Config, dir string, force bool, out io.Writer) (*Trainer, error) {
	return newRun(ctx, cfg, dir, force, l.kept(), out)
}

// ResumeRun is [Resume] of such a run.
func (l *Loaded) ResumeRun(ctx context.Context, dir string, out io.Writer) (t *Trainer, done bool, err error) {
	return resume(ctx, dir, "", nil, l.kept(), out)
}
