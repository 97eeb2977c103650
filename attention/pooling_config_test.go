package attention_test

import (
	"fmt"
	"strings"
	"testing"

	"sparrow/attention"
	"sparrow/configs"
)

// TestPoolingConfig: what no pooling can have is refused, naming the key.
func TestPoolingConfig(t *testing.T) {
	for toml, want := range map[string]string{
		"kind = \"single\"\nheads = 10\ntemperature = 0.5": "", // as by default: whoever compares kinds keeps the table
		"kind = \"single\"\nheads = 5":                     `heads = 5 is for kind = "lama" or "structured" only, but kind = "single"`,
		"kind = \"structured\"\nrank = 2":                  `rank = 2 is for kind = "lama" only, but kind = "structured"`,
		"kind = \"structured\"\ncontext = \"states\"":      `is for kind = "lama" only`,
		"kind = \"single\"\nactivation = \"identity\"":     `is for kind = "lama" only`,
		"kind = \"structured\"\nl2_norm = false":           `l2_norm = false is for kind = "lama" only`,
		"kind = \"mean\"\ninit = \"heads\"":                `is for kind = "lama" only`,
		"kind = \"mean\"\ntemperature = 0.5":               `is for kind = "lama" or "single" or "structured" only, but kind = "mean"`,
		`width = 32`:                                       `width = 32 is for kind = "structured" only, but kind = "lama"`,
		``:                                                 "",
		`kind = "structured"`:                              "",
		"kind = \"structured\"\npenalty = 0.5":             "",
		`kind = "max"`:                                     `kind = "max" is unknown; want one of lama, single, structured, mean`,
		`heads = 0`:                                        "heads = 0 is too small; want at least 1",
		`rank = -1`:                                        "rank = -1 is too small",
		`width = 0`:                                        "width = 0 is too small",
		`context = "document"`:                             `context = "document" is unknown; want one of learned, annotations, states`,
		`activation = "relu"`:                              `activation = "relu" is unknown; want one of tanh, identity`,
		`init = "zeros"`:                                   `init = "zeros" is unknown; want one of width, heads`,
		`temperature = 0`:                                  "temperature = 0",
		`penalty = 1.0`:                                    `is for kind = "structured" only, but kind = "lama"`,
	} {
		t.Run(fmt.Sprintf("%q", toml), func(t *testing.T) {
			cfg := attention.DefaultPoolingConfig()
			err := configs.Decode("test.toml", []byte(toml), &cfg, configs.Options{})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
