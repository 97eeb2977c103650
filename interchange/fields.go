package interchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// fields are the keys of a config.json, and which of them have been read: the others are unknown.
type fields struct {
	values map[string]any // numbers are json.Number
	read   map[string]bool
}

func newFields(values map[string]any) fields { return fields{values, map[string]bool{}} }

func parseFields(name string, text []byte) (fields, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var values map[string]any
	if err := d.Decode(&values); err != nil {
		return fields{}, fmt.Errorf("%s: %w", name, err)
	}
	if values == nil {
		return fields{}, fmt.Errorf("%s is not an object", name)
	}
	return newFields(values), nil
}

// get is a value; nil: it is not there, or null.
func (f fields) get(key string) any {
	f.read[key] = true
	return f.values[key]
}

func (f fields) text(key string) string {
	s, _ := f.get(key).(string)
	return s
}

// count is a whole number from low to high.
func (f fields) count(r *report, key string, otherwise, low, high int) int {
	n := otherwise
	switch v := f.get(key).(type) {
	case nil:
		if otherwise < low {
			r.add("config: %s is missing", key)
			return low
		}
	case json.Number:
		i, err := v.Int64()
		if err != nil || i < int64(low) || i > int64(high) {
			r.add("config: %s = %s; want a whole number from %d to %d", key, cut(v), low, high)
			return max(low, 1)
		}
		n = int(i)
	case int:
		n = v
	default:
		r.add("config: %s = %s; want a whole number", key, cut(v))
		return max(low, 1)
	}
	if n < low || n > high {
		r.add("config: %s = %d; want %d to %d", key, n, low, high)
		return max(low, 1)
	}
	return n
}

// number is a finite number.
func (f fields) number(r *report, key string, otherwise float64) float64 {
	switch v := f.get(key).(type) {
	case nil:
		return otherwise
	case float64:
		return v
	case json.Number:
		if x, err := v.Float64(); err == nil && !math.IsInf(x, 0) {
			return x
		}
	}
	r.add("config: %s = %s; want a number", key, cut(f.values[key]))
	return otherwise
}

// numbers is a list of finite numbers.
func (f fields) numbers(r *report, key string, otherwise []float64) []float64 {
	v := f.get(key)
	if v == nil {
		return otherwise
	}
	list, ok := v.([]any)
	out := make([]float64, len(list))
	for i, item := range list {
		n, isNumber := item.(json.Number)
		x, err := n.Float64()
		ok = ok && isNumber && err == nil && !math.IsInf(x, 0)
		out[i] = x
	}
	if !ok {
		r.add("config: %s = %s; want a list of numbers", key, cut(v))
		return otherwise
	}
	return out
}

func (f fields) flag(r *report, key string, otherwise bool) bool {
	switch v := f.get(key).(type) {
	case nil:
		return otherwise
	case bool:
		return v
	}
	r.add("config: %s = %s; want true or false", key, cut(f.values[key]))
	return otherwise
}

// table is an object inside.
func (f fields) table(r *report, key string) fields {
	switch v := f.get(key).(type) {
	case nil:
	case map[string]any:
		return newFields(v)
	default:
		r.add("config: %s = %s; want an object", key, cut(v))
	}
	return newFields(nil)
}

// only reports a value that is neither missing nor one of those.
func (f fields) only(r *report, key string, allowed ...string) {
	v := f.get(key)
	if s := fmt.Sprint(v); v != nil && !slices.Contains(allowed, s) {
		r.add("config: %s = %s is not supported; want %s", key, cut(v), strings.Join(allowed, " or "))
	}
}

// unread reports the keys that nobody asked for and that say something.
func (f fields) unread(r *report, where string, harmless ...string) {
	for _, key := range slices.Sorted(maps.Keys(f.values)) {
		if f.read[key] || slices.Contains(harmless, key) || strings.HasPrefix(key, "_") || strings.HasSuffix(key, "_token_id") {
			continue
		}
		if v := f.values[key]; !says(v) {
			continue
		}
		r.add("%s: %s = %s is not known", where, cut(key), cut(f.values[key]))
	}
}

// says tells whether a value of an unknown key switches something on.
func says(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		x, err := v.Float64()
		return err != nil || x != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// cut is a value in a few words.
func cut(v any) string {
	text, err := json.Marshal(v)
	s := string(text)
	if err != nil {
		s = fmt.Sprint(v)
	}
	if name, ok := v.(string); ok {
		s = name
	}
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// harmless are keys of a config.json that change no output: how a model was trained, made and is used.
var harmless = []string{
	"architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "use_cache", "id2label", "label2id", "problem_type",
	"num_labels", "initializer_range", "initializer_factor", "gradient_checkpointing", "attention_probs_dropout_prob", "classifier_dropout",
	"attention_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop", "dropout", "hidden_dropout", "seq_classif_dropout", "qa_dropout",
	"summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj", "pretraining_tp",
	"task_specific_params", "finetuning_task", "output_past", "directionality", "pooler_fc_size", "pooler_num_attention_heads",
	"pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "use_return_dict", "return_dict", "is_llama_config", "rope_interleaved",
	"max_length", "min_length", "do_sample", "temperature", "top_k", "top_p", "num_beams", "num_beam_groups", "diversity_penalty",
	"length_penalty", "repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "num_return_sequences", "typical_p",
	"chunk_size_feed_forward", "tokenizer_class", "prefix", "sinusoidal_pos_embds", "tie_weights_", "max_window_layers", "n_ctx",
	"transformers.js_config", "sentence_transformers", "unsloth_version", "unsloth_fixed", "quantization_config_", "layer_types",
}
