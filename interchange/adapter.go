package interchange

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/safetensors"
	"sparrow/data"
	"sparrow/kernel"
	"sparrow/nn"
)

// adapterConfig is the file that makes a folder one of PEFT's adapters.
const adapterConfig = "adapter_config.json"

// IsAdapter tells whether a folder holds an adapter of PEFT.
func IsAdapter(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, adapterConfig))
	return err == nil
}

// maxRank bounds the rank of an adapter, beyond which it is no number of neurons.
const maxRank = 1 << 16

// idleAdapter are keys of an adapter's config that change nothing of what it computes once it is trained. Which layers it
// has is what its tensors say.
var idleAdapter = []string{
	"auto_mapping", "base_model_name_or_path", "base_model_class", "parent_library", "revision", "task_type", "inference_mode", "peft_version", "lora_dropout",
	"target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "rank_pattern", "megatron_config", "megatron_core", "loftq_config", "eva_config", "corda_config",
	"runtime_config", "qalora_group_size", "arrow_config", "ensure_weight_tying",
}

// ReadAdapter reads an adapter of PEFT: its config and its factors A and B of linear layers, whose names are those of LLaMA's
// relatives. All that is not supported is one error, which matches [ErrSource].
func ReadAdapter(dir string) ([]nn.Adapter, error) {
	text, err := data.ReadFile(filepath.Join(dir, adapterConfig))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSource, dir, err)
	}
	config, err := parseFields(adapterConfig, text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSource, dir, err)
	}
	r := &report{}
	alpha, root := adapterScale(config, r)
	path := filepath.Join(dir, "adapter_model.safetensors")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no adapter_model.safetensors; save the adapter in that format", ErrSource, dir)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	defer f.Close()
	layers := adapterLayers(f.Set, r)
	for i := range layers {
		if layers[i].Alpha = alpha; root {
			layers[i].Alpha *= math.Sqrt(float64(layers[i].Rank))
		}
	}
	if len(layers) == 0 && len(r.lines) == 0 {
		r.add("adapter_model.safetensors has no factors: no tensor is named as lora_A.weight")
	}
	return layers, r.err(dir + " cannot be used")
}

// adapterScale reads an adapter's config: alpha, and whether it is over the square root of the rank in place of the rank. An alpha for
// some layers alone is not supported; ranks are what the tensors say.
func adapterScale(c fields, r *report) (alpha float64, root bool) {
	c.only(r, "peft_type", "LORA")
	c.only(r, "bias", "none")
	for _, key := range []string{"fan_in_fan_out", "use_dora", "use_qalora", "lora_bias"} {
		c.only(r, key, "false")
	}
	for _, key := range []string{"modules_to_save", "alpha_pattern", "trainable_token_indices", "layer_replication", "target_parameters", "alora_invocation_tokens"} {
		if says(c.get(key)) {
			r.add("config: %s = %s is not supported; want none", key, cut(c.get(key)))
		}
	}
	c.only(r, "init_lora_weights", "true", "false", "gaussian", "eva", "orthogonal") // others change the base too
	rank := c.count(r, "r", 0, 1, maxRank)
	root = c.flag(r, "use_rslora", false)
	if alpha = c.number(r, "lora_alpha", float64(rank)); !(alpha > 0) {
		r.add("config: lora_alpha = %g; want more than 0", alpha)
	}
	for _, key := range idleAdapter {
		c.get(key)
	}
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if v := c.values[key]; !c.read[key] && says(v) {
			r.add("config: %s = %s is unknown", key, cut(v))
		}
	}
	return alpha, root
}

// adapterLayers reads the factors of each layer, in the order of their names.
func adapterLayers(set *foreign.Set, r *report) []nn.Adapter {
	found := map[string]*nn.Adapter{}
	for _, t := range set.Tensors() {
		name, _ := strings.CutPrefix(t.Name, "base_model.model.")
		name = strings.Replace(name, ".default.weight", ".weight", 1)
		layer, down := strings.CutSuffix(name, ".lora_A.weight")
		if !down {
			var up bool
			if layer, up = strings.CutSuffix(name, ".lora_B.weight"); !up {
				r.add("tensor %s is not supported; want factors of linear layers, named as LAYER.lora_A.weight and LAYER.lora_B.weight", foreign.Quote(t.Name))
				continue
			}
		}
		if len(t.Shape) != 2 {
			r.add("tensor %s has shape %v; want a matrix", foreign.Quote(t.Name), t.Shape)
			continue
		}
		values, err := t.Values()
		if err == nil && !kernel.AllFinite(values) {
			err = errors.New("it has values that are no finite numbers")
		}
		if err != nil {
			r.add("tensor %s: %v", foreign.Quote(t.Name), err)
			continue
		}
		l := found[layer]
		if l == nil {
			l = &nn.Adapter{Layer: layer}
			found[layer] = l
		}
		if down {
			l.Rank, l.In, l.Down = t.Shape[0], t.Shape[1], slices.Clone(values) // which may be the file's own
		} else {
			l.Out, l.Up = t.Shape[0], slices.Clone(values)
			if l.Rank != 0 && l.Rank != t.Shape[1] {
				l.Rank = -1
			}
		}
	}
	var out []nn.Adapter
	for _, name := range slices.Sorted(maps.Keys(found)) {
		switch l := found[name]; {
		case l.Down == nil || l.Up == nil:
			r.add("layer %s has one of lora_A and lora_B without the other", foreign.Quote(name))
		case l.Rank < 1 || len(l.Up) != l.Out*l.Rank:
			r.add("layer %s: lora_A and lora_B have different ranks", foreign.Quote(name))
		default:
			out = append(out, *l)
		}
	}
	return out
}
