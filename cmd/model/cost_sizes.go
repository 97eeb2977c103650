package main

import (
	"os"
	"regexp"

	"sparrow/cost"
	"sparrow/model"
	"sparrow/train"
)

// ofRun finds the tables that a training config has and a model's sizes have not.
var ofRun = regexp.MustCompile(`(?m)^\s*\[\[?\s*(model|data|train|eval|checkpoint|sample)\s*[.\]]`)

// loadSizes reads a model's sizes, or maps a training config to them; notes say what is then left out.
func loadSizes(file string) (m cost.Config, notes []string, err error) {
	text, err := os.ReadFile(file)
	if err != nil || !ofRun.Match(text) {
		m, err = cost.Load(file) // also says why a file cannot be read
		return m, nil, err
	}
	cfg, err := train.Load(file, nil)
	if err != nil {
		return m, nil, err
	}
	m = sizesOf(cfg.Model)
	m.Name = cfg.Name
	switch cfg.Data.Tokenizer {
	case "byte":
		m.VocabSize = 256
	case "bpe":
		m.VocabSize = cfg.Data.VocabSize
	default:
		notes = append(notes, "the vocabulary of tokenizer "+cfg.Data.Tokenizer+" is not known here: parameters are without embeddings")
	}
	if a := cfg.Model.Attention; a.ValueDim(cfg.Model.DModel) != a.Dim(cfg.Model.DModel) {
		notes = append(notes, "values count as wide as keys, head_dim and not v_head_dim")
	}
	for _, l := range cfg.Model.Linear {
		if l.Kind != "dense" {
			notes = append(notes, "factored layers count as the dense ones that model merge makes of them")
			break
		}
	}
	return m, notes, nil
}

// sizesOf maps a decoder of package model.
func sizesOf(c model.Config) cost.Config {
	a := c.Attention
	m := cost.Config{
		NLayer: c.NLayer, DModel: c.DModel, Tied: c.Tied,
		Attention: cost.Attention{Kind: a.Kind, NHead: a.NHead, HeadDim: a.Dim(c.DModel), Output: "full"},
		FFN:       cost.FFN{Gated: c.MLP == "swiglu", DenseLayers: c.NLayer, DenseWidth: c.HiddenWidth()},
	}
	if a.Kind == "gqa" {
		m.Attention.NKVHead = a.KVHeads()
	}
	if a.Output != "" {
		m.Attention.Output = a.Output
	}
	m.Attention.QueryRank, m.Attention.KVRank, m.Attention.RopeDim = a.QueryRank(c.DModel), a.KVRank, a.RopeDim
	return m
}
