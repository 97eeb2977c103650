package main

import (
	"fmt"
	"strings"

	"sparrow/data"
	"sparrow/data/tokenizers"
	"sparrow/internal/cli"
)

// prompts are the texts to continue.
type prompts struct {
	given []string // by --prompt
	file  string   // of more of them
	afd   int      // micro-batches of --afd; 0: no stages

	texts []string
	ids   [][]int
}

// read reads the file and all tokens.
func (p *prompts) read(tokenizer tokenizers.Tokenizer) error {
	names := make([]string, len(p.given))
	for i := range names {
		names[i] = "--prompt"
	}
	p.texts = p.given
	if p.file != "" {
		text, err := data.ReadFile(p.file)
		if err != nil {
			return cli.Usagef("--prompts: %w", err)
		}
		for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			names = append(names, fmt.Sprintf("--prompts %s:%d", p.file, i+1))
			p.texts = append(p.texts, strings.TrimSuffix(line, "\r"))
		}
	}
	for i, text := range p.texts {
		ids, err := tokenizer.Encode(text)
		if err != nil {
			return cli.Usagef("%s: %w", names[i], err)
		}
		if len(ids) == 0 {
			return cli.Usagef("%s is empty: give the model at least one character to continue", names[i])
		}
		p.ids = append(p.ids, tokenizers.FrameOf(tokenizer).Begin(ids))
	}
	return nil
}

// tokens is the sum of the prompts' lengths, longest the largest.
func (p *prompts) tokens() (n int) {
	for _, ids := range p.ids {
		n += len(ids)
	}
	return n
}

func (p *prompts) longest() (n int) {
	for _, ids := range p.ids {
		n = max(n, len(ids))
	}
	return n
}
