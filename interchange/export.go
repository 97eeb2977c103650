package interchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/safetensors"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/recipe"
)

// ErrExport marks a model that a format has no place for.
var ErrExport = shell.Sentinel(shell.ExitUsage, "interchange: cannot export this model")

// Checkpoint is a model of this project on its way out, with dense linear layers.
type Checkpoint struct {
	Network recipe.Model
	Dims    model.Dims
	Labels  []string // of a classifier
	Files   map[string][]byte
	Names   []string
	Shape   func(name string) []int
	Values  func(name string) []float32

	// Factored are layers that stay as they are in a folder, by name; nil: all are merged into Names.
	Factored map[string]Factored
}

// Formats are those that Export writes.
var Formats = []string{"hf", "gguf", "onnx", "npz"}

// Export writes the model at path, completely or not at all: a folder for "hf" and "onnx", which may not be there yet, else a file.
// ftype is the type of the matrices of a GGUF file, "F32" or another of gguf.FileTypes.
func Export(c Checkpoint, format, path, ftype string) error {
	if body, ok := c.Network.Body().(model.Narrowed); ok && format != "npz" {
		if w, _ := model.WidthsOf(body.Widths()); w != nil {
			return fmt.Errorf("%w: [model.widths] has layers of different widths, for which no other program has a place; want npz", ErrExport)
		}
	}
	if c.Dims.Candidates > 0 && format != "npz" {
		if err := c.asScorer(); err != nil {
			return err
		}
	}
	switch {
	case format == "hf" && c.Factored != nil:
		return c.exportFactored(path)
	case format == "hf":
		return c.exportFolder(path, "model.safetensors", func(file string, m *Model) error {
			return safetensors.WriteFile(file, c.tensors(m), map[string]string{"format": "pt"})
		})
	case format == "onnx":
		return c.exportONNX(path)
	case format == "gguf":
		return c.exportGGUF(path, ftype)
	case format == "npz":
		return c.exportNpz(path)
	}
	return fmt.Errorf("%w: format %q is unknown; want one of %s", ErrExport, format, strings.Join(Formats, ", "))
}

// asScorer makes a network that ranks candidates one that scores pairs of texts, as others know it.
func (c *Checkpoint) asScorer() error {
	body, _ := c.Network.Body().(model.RankedBody)
	if n, ok := body.Candidates(model.Text{}); !ok || n.Spans != nil {
		return fmt.Errorf("%w: [model.ranking] head = \"emb\" multiplies the states of two texts, for which no other program has a place; want npz", ErrExport)
	}
	labels, err := json.Marshal(labelFile{Pairs: true, Regression: true})
	if err != nil {
		return err
	}
	c.Files = maps.Clone(c.Files)
	if c.Files == nil {
		c.Files = map[string][]byte{}
	}
	c.Files["labels.json"], c.Dims.Candidates, c.Dims.Regression = labels, 0, true
	return nil
}

// outgoing is the model as a family has it, with its config.json.
func (c Checkpoint) outgoing() (*Model, map[string]any, error) {
	for _, f := range families() {
		m := &Model{Network: c.Network, Dims: c.Dims, Labels: c.Labels, Files: c.Files, family: f, bare: sentenceOf(c.Network) != nil}
		config, err := f.write(m)
		if err != nil {
			continue
		}
		m.Family, _ = config["model_type"].(string)
		for _, key := range []string{"bos_token_id", "eos_token_id", "pad_token_id"} { // those of generation, which readers of the config expect there too
			if v := c.generation()[key]; v != nil {
				config[key] = v
			}
		}
		config["dtype"] = "float32"
		return m, config, nil
	}
	return nil, nil, fmt.Errorf("%w: kind = %q with these options is not a network that transformers knows; want one of %s", ErrExport, c.Network.Name, strings.Join(Families(), ", "))
}

// generation is the content of generation_config.json; empty where there is none.
func (c Checkpoint) generation() map[string]any {
	var g map[string]any
	if text, ok := c.Files["generation_config.json"]; ok {
		_ = json.Unmarshal(text, &g) // a file that is no object says nothing
	}
	return g
}

// tensors are the arrays under the family's names, in its shapes.
func (c Checkpoint) tensors(m *Model) []foreign.Source {
	parts := map[string][]string{} // of each tensor, the arrays in it
	var order []string
	for _, name := range c.Names {
		o := m.family.origin(m, name)
		if parts[o.name] == nil {
			order = append(order, o.name)
		}
		parts[o.name] = append(parts[o.name], name)
	}
	var all []foreign.Source
	for _, name := range order {
		arrays := parts[name]
		o := m.family.origin(m, arrays[0])
		all = append(all, foreign.Source{Name: name, Shape: o.stored(c.Shape(arrays[0])), Type: foreign.F32, Values: func() ([]float32, error) {
			return c.join(m, arrays)
		}})
	}
	return all
}

// join is the inverse of origin.cut: one tensor of the arrays that are its parts.
func (c Checkpoint) join(m *Model, arrays []string) ([]float32, error) {
	first := m.family.origin(m, arrays[0])
	shape := c.Shape(arrays[0])
	if first.of == 0 && !first.transpose && first.skip == 0 {
		return c.Values(arrays[0]), nil
	}
	if n := max(1, first.of); len(arrays) != n {
		return nil, fmt.Errorf("%w: tensor %s wants %d arrays and has %d", ErrExport, first.name, n, len(arrays))
	}
	stored := first.stored(shape)
	size := 1
	for _, n := range stored {
		size *= n
	}
	out := make([]float32, size)
	rows, width := shape[0], size/stored[0]
	if first.transpose {
		width = stored[0]
	}
	for _, name := range arrays {
		o, x := m.family.origin(m, name), c.Values(name)
		at := o.skip + o.part*rows
		if !o.transpose {
			copy(out[at*width:], x)
			continue
		}
		for i := range rows {
			for j := range width {
				out[j*stored[1]+at+i] = x[i*width+j]
			}
		}
	}
	return out, nil
}

// exportFolder writes what transformers and sentence-transformers load; weights writes those in a file of that name.
func (c Checkpoint) exportFolder(path, name string, weights func(file string, m *Model) error) (err error) {
	m, config, err := c.outgoing()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s is there already: remove it or choose another folder", ErrExport, path)
	}
	files := map[string][]byte{}
	for _, name := range []string{"tokenizer.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "config_sentence_transformers.json"} {
		if text, ok := c.Files[name]; ok {
			files[name] = text
		}
	}
	preprocessor, err := m.preprocessor()
	if err != nil {
		return fmt.Errorf("%w: images.json: %w", ErrExport, err)
	}
	if preprocessor != nil {
		files["preprocessor_config.json"] = preprocessor
	} else if files["tokenizer_config.json"] == nil {
		files["tokenizer_config.json"] = c.tokenizerConfig(m)
	}
	maps.Copy(files, m.sentenceFiles())
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	files["config.json"] = append(text, '\n')
	parent := filepath.Dir(filepath.Clean(path))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, ".tmp-export-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		to := filepath.Join(temp, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, files[name], 0o644); err != nil {
			return err
		}
	}
	if err := weights(filepath.Join(temp, name), m); err != nil {
		return err
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// tokenizerConfig says what class of transformers reads the tokenizer.json, and which tokens are special.
func (c Checkpoint) tokenizerConfig(m *Model) []byte {
	t := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": c.Dims.Context}
	if m.pairs() { // which this class gives no types otherwise
		t["model_input_names"] = []string{"input_ids", "token_type_ids", "attention_mask"}
	}
	names := tokensOf(c.Files["tokenizer.json"])
	for key, name := range map[string]string{"bos_token_id": "bos_token", "eos_token_id": "eos_token", "pad_token_id": "pad_token"} {
		id := c.generation()[key]
		if several, ok := id.([]any); ok && len(several) > 0 {
			id = several[0]
		}
		if x, ok := id.(float64); ok && names[int(x)] != "" {
			t[name] = names[int(x)]
		}
	}
	if _, ok := m.Network.Body().(encoder.Config); ok {
		for key, name := range map[string]string{"[UNK]": "unk_token", "[SEP]": "sep_token", "[PAD]": "pad_token", "[CLS]": "cls_token", "[MASK]": "mask_token"} {
			for _, token := range names {
				if token == key {
					t[name] = key
				}
			}
		}
	}
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		panic(err) // impossible: texts and numbers
	}
	return append(text, '\n')
}

// tokensOf are the added tokens of a tokenizer.json by their ids.
func tokensOf(text []byte) map[int]string {
	var file struct {
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
		} `json:"added_tokens"`
	}
	_ = json.Unmarshal(text, &file) // of a tokenizer of this project's own, which has none
	all := map[int]string{}
	for _, a := range file.Added {
		all[a.ID] = a.Content
	}
	return all
}

// exportNpz writes the arrays under this project's names.
func (c Checkpoint) exportNpz(path string) error {
	var all []checkpoints.Array
	for _, name := range c.Names {
		all = append(all, checkpoints.Array{Name: name, Shape: c.Shape(name), Data: c.Values(name)})
	}
	return checkpoints.WriteNpz(path, all)
}
