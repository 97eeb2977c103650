package interchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/gguf"
	"sparrow/model/decoder"
)

// exportGGUF writes what llama.cpp loads.
func (c Checkpoint) exportGGUF(path, ftype string) error {
	m, config, err := c.outgoing()
	if err != nil {
		return err
	}
	if !slices.Contains(ggufFamilies, m.Family) {
		return fmt.Errorf("%w: GGUF files are written of %s, not of %s; want --format hf", ErrExport, strings.Join(ggufFamilies, ", "), m.Family)
	}
	var chosen *gguf.FileType
	for _, t := range gguf.FileTypes() {
		if t.Name == ftype {
			chosen = &t
		}
	}
	if chosen == nil {
		return fmt.Errorf("%w: type %q is not written; want F32, F16, BF16, Q8_0, Q4_0 or Q4_K_M", ErrExport, ftype)
	}
	metadata, err := c.ggufMetadata(m, config, *chosen)
	if err != nil {
		return err
	}
	body, _ := c.Network.Of.(decoder.Config)
	tensors, names := c.tensors(m), ggufNamesOf(m.Family)
	for i, t := range tensors {
		if names.turns(t.Name) {
			rows, width := t.Shape[0], t.Shape[1]
			tensors[i].Shape = []int{width, rows}
			tensors[i].Values = func() ([]float32, error) {
				x, err := t.Values()
				if err != nil {
					return nil, err
				}
				return transposed(x, rows, width), nil
			}
		}
		heads := 0
		switch {
		case m.Family != "llama":
		case strings.Contains(t.Name, ".q_proj."):
			heads = body.Attention.NHead
		case strings.Contains(t.Name, ".k_proj."):
			heads = body.Attention.KVHeads()
		}
		if heads > 0 {
			tensors[i].Values = func() ([]float32, error) {
				x, err := t.Values()
				if err != nil {
					return nil, err
				}
				return pairs(x, t.Shape[0], heads), nil
			}
		}
		tensors[i].Name = names.toGGUF(t.Name)
	}
	if a := body.Attention; a.Scaling != nil && a.Scaling.Kind == "llama3" {
		tensors = append(tensors, ropeSource(*a.Scaling, a.Dim(body.DModel), a.Theta))
	}
	slices.SortStableFunc(tensors, func(a, b foreign.Source) int { return ggufPlace(a.Name) - ggufPlace(b.Name) })
	chosen.Choose(tensors)
	return gguf.WriteFile(path, metadata, tensors)
}

// ggufPlace orders tensors: the embedding, layers rising, what comes after them.
func ggufPlace(name string) int {
	var layer int
	if _, err := fmt.Sscanf(name, "blk.%d.", &layer); err == nil {
		return 1 + layer
	}
	if strings.HasPrefix(name, "token_embd") {
		return 0
	}
	return 1 << 30
}

func (c Checkpoint) ggufMetadata(m *Model, config map[string]any, t gguf.FileType) (gguf.Metadata, error) {
	n, _ := c.Network.Of.(decoder.Config)
	a := n.Attention
	arch := m.Family
	var md gguf.Metadata
	add := func(key string, value any) { md = append(md, gguf.Pair{Key: key, Value: value}) }
	add("general.architecture", arch)
	add("general.type", "model")
	add("general.file_type", t.Number)
	add("general.quantization_version", uint32(2))
	add(arch+".block_count", uint32(n.NLayer))
	add(arch+".context_length", uint32(c.Dims.Context))
	add(arch+".embedding_length", uint32(n.DModel))
	add(arch+".feed_forward_length", uint32(n.HiddenWidth()))
	add(arch+".attention.head_count", uint32(a.NHead))
	if arch == "gpt2" {
		add(arch+".attention.layer_norm_epsilon", float32(n.NormEps))
	} else {
		add(arch+".attention.head_count_kv", uint32(a.KVHeads()))
		add(arch+".attention.key_length", uint32(a.Dim(n.DModel)))
		add(arch+".attention.value_length", uint32(a.Dim(n.DModel)))
		add(arch+".rope.dimension_count", uint32(a.Dim(n.DModel)))
		add(arch+".rope.freq_base", float32(a.Theta))
		add(arch+".attention.layer_norm_rms_epsilon", float32(n.NormEps))
	}
	add(arch+".vocab_size", uint32(c.Dims.VocabSize))
	switch s := a.Scaling; {
	case s != nil && s.Kind == "llama3": // a tensor says it
		if arch != "llama" {
			return nil, fmt.Errorf("%w: llama.cpp has rope scaling llama3 of llama alone, not of %s", ErrExport, arch)
		}
	case s != nil:
		add(arch+".rope.scaling.type", "linear")
		add(arch+".rope.scaling.factor", float32(s.Factor))
	}
	switch own, _ := a.Projections(); {
	case arch == "gpt2" && n.MLP != "gelu_tanh":
		return nil, fmt.Errorf("%w: llama.cpp has mlp = \"gelu_tanh\" of gpt2, not %q; want --format hf", ErrExport, n.MLP)
	case arch != "gpt2" && n.Bias, arch == "qwen3" && own.Bias:
		return nil, fmt.Errorf("%w: llama.cpp has no biases there", ErrExport)
	}
	tokenizer, err := c.ggufTokenizer()
	if err != nil {
		return nil, fmt.Errorf("%w: tokenizer: %w", ErrExport, err)
	}
	md = append(md, tokenizer...)
	g := c.generation()
	for _, k := range []struct{ key, name string }{{"bos_token_id", "bos_token_id"}, {"eos_token_id", "eos_token_id"}, {"pad_token_id", "padding_token_id"}} {
		id := g[k.key]
		if several, ok := id.([]any); ok && len(several) > 0 {
			id = several[len(several)-1]
		}
		if x, ok := id.(float64); ok && x >= 0 && int(x) < c.Dims.VocabSize {
			add("tokenizer.ggml."+k.name, uint32(x))
		}
	}
	if text, ok := c.Files["chat_template.jinja"]; ok {
		add("tokenizer.chat_template", string(text))
	}
	return md, nil
}

// tokenizerParts is what GGUF needs of a tokenizer.json.
type tokenizerParts struct {
	Added []struct {
		ID      int    `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
	Pre   any `json:"pre_tokenizer"`
	Norm  any `json:"normalizer"`
	Post  any `json:"post_processor"`
	Model struct {
		Type         string            `json:"type"`
		Vocab        map[string]int    `json:"vocab"`
		Merges       []json.RawMessage `json:"merges"`
		ByteFallback bool              `json:"byte_fallback"`
		Unknown      *string           `json:"unk_token"`
	} `json:"model"`
}

// ggufTokenizer is the metadata of the tokenizer.
func (c Checkpoint) ggufTokenizer() (gguf.Metadata, error) {
	var p tokenizerParts
	if err := json.Unmarshal(c.Files["tokenizer.json"], &p); err != nil {
		return nil, err
	}
	if p.Model.Type != "BPE" || len(p.Model.Vocab) == 0 {
		return nil, fmt.Errorf("its model %s is not written to GGUF; want BPE", cut(p.Model.Type))
	}
	tokens := make([]string, c.Dims.VocabSize)
	types := slices.Repeat([]int32{tokenUnused}, len(tokens))
	for i := range tokens {
		tokens[i] = fmt.Sprintf("[PAD%d]", i)
	}
	set := func(id int, token string, kind int32) error {
		if id < 0 || id >= len(tokens) {
			return fmt.Errorf("token %s has id %d; the network knows %d", foreign.Quote(token), id, len(tokens))
		}
		tokens[id], types[id] = token, kind
		return nil
	}
	for token, id := range p.Model.Vocab {
		kind := int32(tokenNormal)
		if p.Model.ByteFallback && len(token) == 6 && strings.HasPrefix(token, "<0x") {
			kind = tokenByte
		}
		if err := set(id, token, kind); err != nil {
			return nil, err
		}
	}
	for _, a := range p.Added {
		kind := int32(tokenUser)
		if a.Special {
			kind = tokenControl
		}
		if p.Model.Unknown != nil && a.Content == *p.Model.Unknown && p.Model.ByteFallback {
			kind = tokenUnknown
		}
		if err := set(a.ID, a.Content, kind); err != nil {
			return nil, err
		}
	}
	merges, err := p.merges()
	if err != nil {
		return nil, err
	}
	begins := strings.Contains(fmt.Sprint(p.Post), "SpecialToken")
	kind := "gpt2"
	var more gguf.Metadata
	if p.Model.ByteFallback {
		kind = "llama"
		scores := make([]float32, len(tokens))
		for i, m := range slices.Backward(merges) { // the first merge that makes a token ranks it
			left, right, _ := strings.Cut(m, " ")
			if id, ok := p.Model.Vocab[left+right]; ok {
				scores[id] = -float32(i)
			}
		}
		prefix := strings.Contains(fmt.Sprint(p.Norm), "Prepend") || strings.Contains(fmt.Sprint(p.Pre), "Metaspace")
		more = gguf.Metadata{{Key: "tokenizer.ggml.scores", Value: scores}, {Key: "tokenizer.ggml.add_space_prefix", Value: prefix}}
	} else {
		pre, err := p.cuts()
		if err != nil {
			return nil, err
		}
		more = gguf.Metadata{{Key: "tokenizer.ggml.pre", Value: pre}, {Key: "tokenizer.ggml.merges", Value: merges}, {Key: "tokenizer.ggml.add_space_prefix", Value: false}}
	}
	md := gguf.Metadata{{Key: "tokenizer.ggml.model", Value: kind}, {Key: "tokenizer.ggml.tokens", Value: tokens}, {Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.add_bos_token", Value: begins}}
	return append(md, more...), nil
}

// merges are the pairs as texts, of which there are two spellings.
func (p tokenizerParts) merges() ([]string, error) {
	var all []string
	for _, raw := range p.Model.Merges {
		var one string
		var two []string
		switch {
		case json.Unmarshal(raw, &one) == nil:
		case json.Unmarshal(raw, &two) == nil && len(two) == 2:
			one = two[0] + " " + two[1]
		default:
			return nil, errors.New("a merge is neither a text nor a pair")
		}
		all = append(all, one)
	}
	return all, nil
}

// cuts is llama.cpp's name of how text is cut into words.
func (p tokenizerParts) cuts() (string, error) {
	for _, name := range []string{"gpt-2", "smollm", "llama-bpe", "qwen2"} {
		pre, _, _, err := cutting(name)
		if err == nil && reflect.DeepEqual(plainJSON(pre), plainJSON(p.Pre)) {
			return name, nil
		}
	}
	return "", errors.New("llama.cpp has no name for how it cuts text into words")
}

// plainJSON is a value without what has no effect on ids.
func plainJSON(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var x any
	if json.Unmarshal(text, &x) != nil {
		return nil
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "trim_offsets")
			for _, inner := range v {
				strip(inner)
			}
		case []any:
			for _, inner := range v {
				strip(inner)
			}
		}
	}
	strip(x)
	return x
}
