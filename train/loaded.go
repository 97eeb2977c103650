package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/data"
	"sparrow/model"
	"sparrow/nn"
)

// Loaded is a trained model, ready for use.
type Loaded struct {
	Dir       string
	Config    Config
	Files     *checkpoints.Checkpoint
	Base      *checkpoints.Checkpoint // of an adapter; nil: Files holds all weights
	Tokenizer data.Tokenizer          // nil: of images
	Labels    *Labels                 // of a classifier; nil: a language model
	Images    *ImageFormat            // of a classifier of images; nil: of texts
	Session   *model.Session

	// Readings keeps the data that the model is measured and calibrated on; several models may share one. Nil: data is read
	// each time.
	Readings *Readings
}

// Open loads the model of a run or checkpoint, from its checkpoint folder alone
// or, of an adapter, from that and its base. With opts.Packed weights that it holds
// in few bits stay in those bits, if it is no adapter.
func Open(path string, last bool, opts model.Options) (*Loaded, error) {
	return OpenOn(path, "", last, opts)
}

// OpenOn is Open of an adapter whose base, a run or a checkpoint, is at base; "":
// where it was when the adapter was trained.
func OpenOn(path, base string, last bool, opts model.Options) (*Loaded, error) {
	l, err := open(path, base, last, false, opts)
	if err != nil {
		return nil, err
	}
	_, err = readModel(l.Files, l.Base, l.Session.Store())
	return l, err
}

// Describe is OpenOn without the weights: enough to tell what a model is made of.
func Describe(path, base string, last bool) (*Loaded, error) {
	return open(path, base, last, true, model.Options{})
}

func open(path, base string, last, virtual bool, opts model.Options) (*Loaded, error) {
	dir, err := Find(path, last)
	if err != nil {
		return nil, err
	}
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	l := &Loaded{Dir: dir, Files: c}
	if l.Config, err = configOf(c); err != nil {
		return nil, err
	}
	switch {
	case l.Config.adapter():
		opts.Packed = false // its base may hold the same weights in other bits, or in none
		if l.Base, err = findBase(c, base); err != nil {
			return nil, err
		}
	case base != "":
		return nil, fmt.Errorf("%w: --base %s: %s is no adapter, it needs no base", ErrUsage, base, dir)
	}
	from, err := readKept(c, l.Config)
	if err != nil {
		return nil, err
	}
	l.Tokenizer, l.Labels, l.Images = from.tokenizer, from.labels, from.images
	store := nn.NewStore(tensor.Float32)
	store.Virtual = virtual
	l.Session, err = model.NewSession(l.Config.Model, from.dims(l.Config), store, opts)
	if err != nil {
		return nil, errors.Join(checkpoints.ErrCheckpoint, err)
	}
	return l, nil
}

// Room refuses texts, each of up to prompt and new tokens, that are longer than the
// model's learned positions or than this machine's memory has room for.
func (l *Loaded) Room(texts, prompt, tokens int) error {
	total := float64(prompt) + float64(tokens)
	if n := l.Config.longest(); n > 0 && total > float64(n) {
		return fmt.Errorf("with a prompt of %d tokens, %d can follow: the model's learned positions end at %d", prompt, max(0, n-prompt), n)
	}
	return cacheFits(float64(texts)*total, l.Session.CacheBytesPerToken())
}

// RoomToScore refuses an evaluation in batches of batch sequences of seqLen tokens
// for which this machine's memory has no room.
func (l *Loaded) RoomToScore(batch, seqLen int) error {
	cfg := l.Config
	cfg.Train.BatchSize, cfg.Data.SeqLen = batch, seqLen
	if l.Images == nil {
		cfg.Model.Context = l.Session.Dims().Context
	}
	if err := buildable(cfg, l.Session.Dims(), memoryLimit()); err != nil {
		return err
	}
	store := nn.NewStore(tensor.Float32)
	store.Virtual, store.Packed = true, l.Session.Store().Packed
	s, err := model.NewSession(cfg.Model, l.Session.Dims(), store, model.Options{})
	if err != nil {
		return err
	}
	p, err := s.Score(batch, seqLen)
	if err != nil {
		return err
	}
	if need := float64(store.Bytes() + store.BaseBytes() + p.ActivationBytes()); need > memoryLimit() {
		return fmt.Errorf("an evaluation needs %s of memory and this machine has %s", bytesText(need), bytesText(memoryLimit()))
	}
	return nil
}

// Merge writes a checkpoint folder at out whose factored layers are folded into
// dense ones, W = scale B A + S or W0 + scale B A, and whose parent is l. It stands
// alone, also if l is an adapter.
func (l *Loaded) Merge(out string) (*nn.Store, error) {
	dense := l.Session.Store().Dense()
	cfg := l.Config.Model
	cfg.Linear = nil
	return dense, l.Derive(out, cfg, dense)
}

// Derive writes a checkpoint folder at out that holds another network, of the
// given config and parameters, whose parent is l and which has all but
// its weights from l.
func (l *Loaded) Derive(out string, network model.Config, store *nn.Store) error {
	state, err := l.Files.File("state.json")
	if err != nil {
		return err
	}
	return l.derive(out, l.Files.Manifest().Step, state, network, store)
}

// DeriveFresh is Derive of a checkpoint of step 0: one that has not trained since.
func (l *Loaded) DeriveFresh(out string, network model.Config, store *nn.Store) error {
	state, err := json.MarshalIndent(State{}, "", "  ")
	if err != nil {
		return err
	}
	return l.derive(out, 0, append(state, '\n'), network, store)
}

func (l *Loaded) derive(out string, step int, state []byte, network model.Config, store *nn.Store) error {
	cfg := l.Config
	cfg.Model = network
	config, err := configs.Encode(cfg)
	if err != nil {
		return err
	}
	files := map[string][]byte{"config.toml": config, "state.json": state}
	if l.Images == nil {
		files["tokenizer.json"] = l.Tokenizer.Save()
	} else if files["images.json"], err = l.Files.File("images.json"); err != nil {
		return err
	}
	if l.Labels != nil {
		if files["labels.json"], err = l.Files.File("labels.json"); err != nil {
			return err
		}
	}
	return checkpoints.Write(out, checkpoints.Contents{
		Kind: network.Kind, Step: step, Parent: l.Files.Lineage(), Files: files,
		Arrays: map[string][]checkpoints.Array{"model.npz": modelArrays(store)},
	})
}

// Part names what to measure a loaded model on: a split of its config's data or, of a classifier, another file with the
// same columns.
type Part struct {
	Split string // "validation" | "test"
	File  string // "": the split
}

// Evaluate measures the model on a part of the data of cfg, which is the model's own config but for [data] and [eval].
// What the data does not have is an error that matches ErrUsage. after is as for [Evaluate].
func (l *Loaded) Evaluate(ctx context.Context, cfg Config, part Part, after func(done, total int, loss float64)) (Score, error) {
	if l.Images != nil {
		x, err := l.images(ctx, cfg, part)
		if err != nil {
			return Score{}, refusal{err}
		}
		set := data.ImageBatches(x, l.Images.Normalisation, cfg.Train.BatchSize, cfg.Eval.Examples, nil)
		return EvaluateImages(ctx, l.Session, set, cfg.Train.BatchSize, after)
	}
	if l.Labels != nil {
		x, err := l.examples(ctx, cfg, part)
		if err != nil {
			return Score{}, refusal{err}
		}
		return EvaluateExamples(ctx, l.Session, x, cfg.Train.BatchSize, cfg.Eval.Examples, after)
	}
	switch {
	case part.File != "":
		return Score{}, Refusef("--file %s: a language model is measured on text: want --set data.source=text --set data.paths=[...]", part.File)
	case part.Split != "validation":
		return Score{}, Refusef("--split %s: a text corpus has the split validation only", part.Split)
	}
	d, err := l.kept().openText(ctx, cfg.Data)
	if err != nil {
		return Score{}, refusal{err}
	}
	if cfg.masked() {
		return evaluateMasked(ctx, l.Session, d, cfg, after)
	}
	return Evaluate(ctx, l.Session, d.Validation, cfg.Data.SeqLen, cfg.Train.BatchSize, cfg.Eval.Tokens, after)
}

// examples reads a part of labelled data with the model's tokenizer and labels.
func (l *Loaded) examples(ctx context.Context, cfg Config, part Part) (*data.Examples, error) {
	if n := len(cfg.Data.TextColumns); cfg.Data.Source == "tsv" && (n == 2) != l.Labels.Pairs {
		if l.Labels.Pairs {
			return nil, fmt.Errorf("[data] text_columns has %d column; the model labels pairs of texts, want 2", n)
		}
		return nil, fmt.Errorf("[data] text_columns has %d columns; the model labels single texts, want 1", n)
	}
	if part.File != "" {
		if cfg.Data.Source != "tsv" {
			return nil, fmt.Errorf("--file %s: [data] source = %q has no columns: want --set data.source=tsv with text_columns and label_column", part.File, cfg.Data.Source)
		}
		return data.ReadExamples(ctx, cfg.Data, part.File, l.Tokenizer, l.Labels.Names)
	}
	d, err := l.kept().openLabelled(ctx, cfg.Data)
	if err != nil {
		return nil, err
	}
	return chosen(part, d.Validation, d.Test, ", or a file with labels by --file")
}

// chosen is the split that part names; test is nil if the data has none. or is what else helps then.
func chosen[T any](part Part, validation, test *T, or string) (*T, error) {
	switch {
	case part.Split == "validation":
		return validation, nil
	case part.Split != "test":
		return nil, fmt.Errorf("--split %s is unknown; want validation or test", part.Split)
	case test == nil:
		return nil, fmt.Errorf("--split test: [data] has no test split; want --split validation%s", or)
	}
	return test, nil
}

// images reads a part of the images of cfg with the model's labels.
func (l *Loaded) images(ctx context.Context, cfg Config, part Part) (*data.Images, error) {
	if part.File != "" {
		return nil, fmt.Errorf("--file %s: the model labels images, which are in folders: want --set data.root=FOLDER", part.File)
	}
	d, err := l.kept().openImages(ctx, cfg.Data)
	if err != nil {
		return nil, err
	}
	if err := l.Images.check(d.Train); err != nil {
		return nil, err
	}
	return chosen(part, d.Validation, d.Test, "")
}
