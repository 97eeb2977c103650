package configs

import (
	"errors"
	"testing"
)

// TestValidate: a struct made in Go is checked as a document is, with its name
// for the file and no line, and is not changed.
func TestValidate(t *testing.T) {
	cfg := defaults()
	if err := Validate("train", &cfg); err != nil {
		t.Errorf("defaults: %v", err)
	}
	cfg.Model.NLayer = 101
	const want = "train: [train] steps = 100 is less than [model] n_layer = 101"
	if err := Validate("train", &cfg); err == nil || err.Error() != want || !errors.Is(err, ErrConfig) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := Validate("train", cfg); err == nil || errors.Is(err, ErrConfig) {
		t.Errorf("no pointer: got %v, want a programmer's error", err)
	}
}
