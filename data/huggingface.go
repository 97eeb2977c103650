package data

import (
	"encoding/json"
	"fmt"
)

// loadHuggingFace reads a tokenizer.json by the type of its model.
func loadHuggingFace(content []byte) (Tokenizer, error) {
	var head struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if err := json.Unmarshal(content, &head); err != nil {
		return nil, fmt.Errorf("data: tokenizer.json: %w", err)
	}
	switch head.Model.Type {
	case "BPE":
		return newBPE(content)
	case "WordPiece":
		return newWordPiece(content)
	default:
		return nil, fmt.Errorf(`data: tokenizer.json: model type %q is not supported, want "BPE" (byte-level) or "WordPiece"`, head.Model.Type)
	}
}
