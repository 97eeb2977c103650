package interchange

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"sparrow/attention"
	"sparrow/checkpoints/foreign"
	"sparrow/data/images"
	"sparrow/model"
	"sparrow/model/vit"
	"sparrow/recipe"
)

// transformer is the vision transformer as a classifier of images.
type transformer struct{}

func (transformer) types() []string { return []string{"vit"} }
func (transformer) prefix() string  { return "vit." }

// maxSide bounds the images of a model, in pixels.
const maxSide = 4096

func (transformer) read(s *Source, m *Model, r *report) {
	c := s.config
	n := vit.DefaultBody()
	n.DModel = c.count(r, "hidden_size", 768, 1, maxWidth)
	n.NLayer = c.count(r, "num_hidden_layers", 12, 1, model.MaxLayers)
	n.DFF = c.count(r, "intermediate_size", 3072, 1, maxWidth)
	n.Patch = c.count(r, "patch_size", 16, 1, maxSide)
	n.NormEps = c.number(r, "layer_norm_eps", 1e-12)
	n.MLP = activation(c, r, "hidden_act", "gelu")
	n.Dropout = c.number(r, "hidden_dropout_prob", 0)
	n.InitStd = c.number(r, "initializer_range", 0.02)
	bias, always := c.flag(r, "qkv_bias", true), true
	own := attention.Projections{Bias: bias}
	if !bias {
		own.OutputBias = &always
	}
	n.Attention.OneOf = attention.As(attention.MHA{Projections: own})
	n.Attention.NHead = c.count(r, "num_attention_heads", 12, 1, maxWidth)
	m.Network = recipe.ModelOf(n)
	side, channels := c.count(r, "image_size", 224, 1, maxSide), c.count(r, "num_channels", 3, 1, 3)
	if channels == 2 {
		r.add("config: num_channels = 2; want 3 (colour) or 1 (grey)")
	}
	for _, key := range []string{"encoder_stride", "pooler_act", "pooler_output_size"} { // of models with another head
		c.get(key)
	}
	c.unread(r, "config", harmless...)
	m.architecture(r, "ForImageClassification")
	m.readLabels(r)
	if m.Dims.Regression {
		r.add("config: one label; want at least 2 classes of images")
	}
	m.Dims = model.ImageDims(m.Dims.Classes, side, channels)
	// The places are looked at first: of a side that no file has the network alone would take memory.
	if places, ok := m.find(m.family.origin(m, "vit.embeddings.position_embeddings")); ok && len(r.lines) == 0 {
		if want := []int{1, 1 + (side/n.Patch)*(side/n.Patch), n.DModel}; !slices.Equal(places.Shape, want) {
			r.add("tensor %s has shape %v; want %v of image_size %d and patch_size %d", foreign.Quote(places.Name), places.Shape, want, side, n.Patch)
		}
	} else if !ok {
		r.add("tensor vit.embeddings.position_embeddings is missing")
	}
	m.readPreprocessor(r)
}

// imageFormat is images.json, how a checkpoint takes images.
type imageFormat struct {
	Side     int `json:"image_size"`
	Channels int `json:"channels"`
	images.Normalisation
	images.Scaling
}

// resamples are the numbers of Pillow for the filters of images.
var resamples = map[int]string{1: "lanczos", 2: "bilinear", 3: "bicubic"}

// readPreprocessor translates preprocessor_config.json into images.json.
func (m *Model) readPreprocessor(r *report) {
	const name = "preprocessor_config.json"
	out := imageFormat{Side: m.Dims.ImageSize, Channels: m.Dims.Channels}
	text, ok := m.source.files[name]
	if !ok {
		r.add("%s is missing, which says how images are normalised", name)
		return
	}
	c, err := parseFields(name, text)
	if err != nil {
		r.add("%v", err)
		return
	}
	number := func(v any) float64 {
		n, _ := v.(json.Number)
		x, _ := n.Float64() // 0 of what is no number
		return x
	}
	// size is a square of the side that a table has under some keys.
	square := func(key string, sides ...string) bool {
		v := c.get(key)
		table, _ := v.(map[string]any)
		for _, side := range sides {
			if v != nil && number(v) == float64(out.Side) || number(table[side]) == float64(out.Side) {
				continue
			}
			return false
		}
		return true
	}
	crops := c.flag(r, "do_center_crop", false)
	switch {
	case !c.flag(r, "do_resize", true):
		r.add("%s: do_resize = false is not supported: images have all sizes", name)
	case !crops && square("size", "height", "width"):
		out.Stretch = true
	case crops && square("size", "shortest_edge") && square("crop_size", "height", "width"):
	default:
		r.add("%s: size = %s, crop_size = %s are not supported; want height and width %d, as image_size, or shortest_edge and a crop to it", name, cut(c.get("size")), cut(c.get("crop_size")), out.Side)
	}
	resample := c.count(r, "resample", 2, 0, 5)
	if out.Filter, ok = resamples[resample]; !ok {
		r.add("%s: resample = %d is not supported; want 2 (bilinear), 3 (bicubic) or 1 (lanczos)", name, resample)
	}
	if !c.flag(r, "do_rescale", true) || math.Abs(c.number(r, "rescale_factor", 1.0/255)*255-1) > 1e-6 {
		r.add("%s: do_rescale and rescale_factor want to be true and 1/255", name)
	}
	half := slices.Repeat([]float64{0.5}, out.Channels)
	out.Mean, out.Std = c.numbers(r, "image_mean", half), c.numbers(r, "image_std", half)
	if !c.flag(r, "do_normalize", true) {
		out.Mean, out.Std = make([]float64, out.Channels), slices.Repeat([]float64{1}, out.Channels)
	}
	if len(out.Mean) != out.Channels || len(out.Std) != out.Channels || slices.Min(append(out.Std, 1)) <= 0 {
		r.add("%s: image_mean and image_std want %d numbers each, those of std above 0", name, out.Channels)
	}
	c.unread(r, name, "image_processor_type", "feature_extractor_type", "processor_class", "do_convert_rgb", "data_format", "crop_size")
	text, err = json.MarshalIndent(out, "", "  ")
	if err != nil {
		r.add("%s: %v", name, err)
	}
	m.Files["images.json"] = append(text, '\n')
}

// vitNames are the attention's parts by this project's names.
var vitNames = []struct{ own, other string }{
	{"attention.q_proj.", "attention.attention.query."}, {"attention.k_proj.", "attention.attention.key."},
	{"attention.v_proj.", "attention.attention.value."}, {"attention.o_proj.", "attention.output.dense."},
}

func (transformer) origin(m *Model, name string) origin {
	o := origin{name: name}
	switch name {
	case "vit.embeddings.cls_token", "vit.embeddings.position_embeddings":
		o.single = true
	}
	for _, part := range vitNames {
		o.name = strings.Replace(o.name, part.own, part.other, 1)
	}
	if body, ok := strings.CutPrefix(o.name, "vit."); ok {
		o.name = m.bodied(body)
	}
	return o
}

func (transformer) idle(_ *Model, name string) bool {
	return strings.HasPrefix(name, "pooler.") || name == "embeddings.mask_token" // of models with another head
}

func (transformer) write(m *Model) (map[string]any, error) {
	body, ok := m.Network.Body().(vit.Body)
	if !ok {
		return nil, errNetwork
	}
	mha, ok := body.Attention.Of.(attention.MHA)
	if !ok || mha.NormedHeads() || !mha.BiasedOutput() || body.Attention.HeadDim != 0 {
		return nil, errNetwork
	}
	c := map[string]any{
		"model_type": "vit", "hidden_size": body.DModel, "num_hidden_layers": body.NLayer, "num_attention_heads": body.Attention.NHead,
		"intermediate_size": body.HiddenWidth(), "hidden_act": theirs(body.MLP), "layer_norm_eps": body.NormEps, "initializer_range": body.InitStd,
		"hidden_dropout_prob": body.Dropout, "attention_probs_dropout_prob": 0.0, "image_size": m.Dims.ImageSize, "patch_size": body.Patch,
		"num_channels": m.Dims.Channels, "qkv_bias": mha.Bias,
	}
	m.writeLabels(c, "ViTForImageClassification")
	return c, nil
}

// preprocessor is preprocessor_config.json of images.json; nil of a model that sees no images.
func (m *Model) preprocessor() ([]byte, error) {
	text, ok := m.Files["images.json"]
	if !ok {
		return nil, nil
	}
	var f imageFormat
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	square := map[string]int{"height": f.Side, "width": f.Side}
	c := map[string]any{
		"image_processor_type": "ViTImageProcessor", "do_resize": true, "size": square, "do_rescale": true, "rescale_factor": 1.0 / 255,
		"do_normalize": true, "image_mean": f.Mean, "image_std": f.Std, "resample": 2,
	}
	for number, filter := range resamples {
		if filter == f.Filter {
			c["resample"] = number
		}
	}
	if !f.Stretch { // the plain processor cannot crop
		c["image_processor_type"], c["do_center_crop"] = "CLIPImageProcessor", true
		c["size"], c["crop_size"] = map[string]int{"shortest_edge": f.Side}, square
	}
	text, err := json.MarshalIndent(c, "", "  ")
	return append(text, '\n'), err
}
