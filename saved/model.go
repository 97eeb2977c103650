package saved

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/internal/machine"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
)

// Model is a trained model, ready for use.
type Model struct {
	Dir     string
	Config  recipe.Config
	Files   *checkpoints.Checkpoint
	Base    *checkpoints.Checkpoint // of an adapter; nil: Files holds all weights
	Task    task.Task               // what the model is for; it has read no data
	Dims    model.Dims              // sizes of the network that follow from its data
	Session *model.Session
	Known   Options // the kinds by which it was opened

	pool pool
}

// Open loads the model of a run or checkpoint, from its checkpoint folder alone
// or, of an adapter, from that and its base. With opts.Packed weights that it holds
// in few bits stay in those bits, if it is no adapter. Its config may choose what known lists, without that what comes with the
// program.
func Open(path string, last bool, opts model.Options, known ...Options) (*Model, error) {
	return OpenOn(path, "", last, opts, known...)
}

// OpenOn is Open of an adapter whose base, a run or a checkpoint, is at base; "":
// where it was when the adapter was trained.
func OpenOn(path, base string, last bool, opts model.Options, known ...Options) (*Model, error) {
	return open(path, base, last, false, opts, Known(known...))
}

// OpenFS is Open of a checkpoint at the root of a file system, such as one that a program carries by go:embed. name stands for it in
// messages. An adapter is an error: its base is not there.
func OpenFS(fsys fs.FS, name string, opts model.Options, known ...Options) (*Model, error) {
	c, err := checkpoints.OpenFS(fsys, name)
	if err != nil {
		return nil, err
	}
	l := &Model{Dir: name, Files: c, Known: Known(known...)}
	if l.Config, err = l.Known.Config(c); err != nil {
		return nil, err
	}
	if l.Config.Adapter() {
		return nil, fmt.Errorf("%w: %s holds an adapter without its base: fold the two into a checkpoint first by: %s", task.ErrUsage, name, shell.Command("model", "merge", "ADAPTER", "-o", "NEW"))
	}
	if err := l.build(false, opts, 0, l.read); err != nil {
		return nil, err
	}
	return l, nil
}

// Describe is OpenOn without the weights: enough to tell what a model is made of.
func Describe(path, base string, last bool, known ...Options) (*Model, error) {
	return open(path, base, last, true, model.Options{}, Known(known...))
}

func open(path, base string, last, virtual bool, opts model.Options, known Options) (*Model, error) {
	dir, err := Find(path, last)
	if err != nil {
		return nil, err
	}
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	l := &Model{Dir: dir, Files: c, Known: known}
	if l.Config, err = known.Config(c); err != nil {
		return nil, err
	}
	switch {
	case l.Config.Adapter():
		opts.Packed = false // its base may hold the same weights in other bits, or in none
		if l.Base, err = FindBase(c, base); err != nil {
			return nil, err
		}
	case base != "":
		return nil, fmt.Errorf("%w: --base %s: %s is no adapter, it needs no base", task.ErrUsage, base, dir)
	}
	if err := l.build(virtual, opts, 0, l.read); err != nil {
		return nil, err
	}
	return l, nil
}

// read fills a declared store with the model's weights.
func (l *Model) read(store *nn.Store) error {
	_, err := ReadModel(l.Files, l.Base, store)
	return err
}

// build makes task and session of a model whose config is read, with its weights, which fill gives, unless it is to be virtual. more is
// how many values it has beside those of its files.
func (l *Model) build(virtual bool, opts model.Options, more float64, fill func(*nn.Store) error) (err error) {
	if l.Task, err = l.Known.Task(l.Config, l.Files); err != nil {
		return err
	}
	if l.Dims, err = l.Task.Dims(); err != nil {
		return err
	}
	if err := l.checkDims(virtual); err != nil {
		return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, l.Dir, err)
	}
	// Names and shapes alone come first: they tell what memory is needed, and a session draws no values for what is filled.
	store, err := l.declare(opts, more)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, l.Dir, err)
	}
	if store.Virtual = virtual; !virtual {
		if err := fill(store); err != nil {
			return err
		}
	}
	if l.Session, err = l.Config.Model.NewSession(l.Dims, store, opts); err != nil {
		return errors.Join(checkpoints.ErrCheckpoint, err)
	}
	return nil
}

// Room refuses texts, each of up to prompt and new tokens, that are longer than the
// model's learned positions or than this machine's memory has room for.
func (l *Model) Room(texts, prompt, tokens int) error {
	total := float64(prompt) + float64(tokens)
	if n := l.Config.Longest(); n > 0 && total > float64(n) {
		return fmt.Errorf("with a prompt of %d tokens, %d can follow: the model's learned positions end at %d", prompt, max(0, n-prompt), n)
	}
	perToken, err := l.Session.CacheBytesPerToken()
	if err != nil {
		return err
	}
	return machine.CacheFits(float64(texts)*total, perToken)
}

// Merge writes a checkpoint folder at out whose factored layers are folded into
// dense ones, W = scale B A + S or W0 + scale B A, and whose parent is l. It stands
// alone, also if l is an adapter.
func (l *Model) Merge(out string) (*nn.Store, error) {
	dense := l.Session.Store().Dense()
	return dense, l.Derive(out, l.Config.Model.Dense(), dense, l.Files.Manifest().Calibration)
}

// Derive writes a checkpoint folder at out that holds another network, of the
// given config and parameters, whose parent is l and which has all but
// its weights from l. by is the data that they were chosen by, nil: none.
func (l *Model) Derive(out string, network recipe.Model, store *nn.Store, by *checkpoints.Calibration) error {
	state, err := l.Files.File("state.json")
	if err != nil {
		return err
	}
	return l.derive(out, l.Files.Manifest().Step, state, network, store, by, nil)
}

// Extend writes a checkpoint folder at out that is l with more files of its task, or others by the same names.
func (l *Model) Extend(out string, files map[string][]byte) error {
	state, err := l.Files.File("state.json")
	if err != nil {
		return err
	}
	m := l.Files.Manifest()
	return l.derive(out, m.Step, state, l.Config.Model, l.Session.Store(), m.Calibration, files)
}

// DeriveFresh is Derive of a checkpoint of step 0: one that has not trained since.
func (l *Model) DeriveFresh(out string, network recipe.Model, store *nn.Store, by *checkpoints.Calibration) error {
	state, err := json.MarshalIndent(State{}, "", "  ")
	if err != nil {
		return err
	}
	return l.derive(out, 0, append(state, '\n'), network, store, by, nil)
}

func (l *Model) derive(out string, step int, state []byte, network recipe.Model, store *nn.Store, by *checkpoints.Calibration, more map[string][]byte) error {
	cfg := l.Config
	cfg.Model = network
	c, err := Contents(cfg, l.Task, store, map[string][]byte{"state.json": state})
	if err != nil {
		return err
	}
	for name := range l.Task.Facts().Files { // as they are, whoever wrote them
		if c.Files[name], err = l.Files.File(name); err != nil {
			return err
		}
	}
	maps.Copy(c.Files, more)
	c.Step, c.Parent, c.Made = step, l.Files.Lineage(), by
	return checkpoints.Write(out, c)
}

// Contents of a checkpoint of a network; more are files beside the task's own.
func Contents(cfg recipe.Config, t task.Task, s *nn.Store, more map[string][]byte) (checkpoints.Contents, error) {
	config, err := configs.Encode(cfg)
	if err != nil {
		return checkpoints.Contents{}, err
	}
	c := checkpoints.Contents{
		Kind: cfg.Model.Name, Files: map[string][]byte{"config.toml": config}, Arrays: map[string][]checkpoints.Array{"model.npz": Arrays(s)},
	}
	maps.Copy(c.Files, t.Facts().Files)
	maps.Copy(c.Files, more)
	return c, nil
}
