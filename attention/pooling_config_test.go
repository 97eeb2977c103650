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
		"kind = \"single\"\ntemperature = 0.5":         "",
		"kind = \"single\"\nheads = 5":                 `unknown key "heads" of kind = "single"; it is a key of lama, structured`,
		"kind = \"structured\"\nrank = 2":              `unknown key "rank" of kind = "structured"; it is a key of lama`,
		"kind = \"structured\"\ncontext = \"states\"":  `unknown key "context" of kind = "structured"; it is a key of lama`,
		"kind = \"single\"\nactivation = \"identity\"": `unknown key "activation" of kind = "single"; it is a key of lama`,
		"kind = \"structured\"\nl2_norm = false":       `unknown key "l2_norm" of kind = "structured"; it is a key of lama`,
		"kind = \"mean\"\ninit = \"heads\"":            `unknown key "init" of kind = "mean"; it is a key of lama`,
		"kind = \"mean\"\ntemperature = 0.5":           `unknown key "temperature" of kind = "mean"; it is a key of lama, single, structured`,
		`width = 32`:                                   `unknown key "width" of kind = "lama"; it is a key of structured`,
		``:                                             "",
		`kind = "structured"`:                          "",
		"kind = \"structured\"\npenalty = 0.5":         "",
		`kind = "max"`:                                 `kind = "max" is unknown; want one of lama, single, structured, mean`,
		`heads = 0`:                                    "heads = 0 is too small; want at least 1",
		`rank = -1`:                                    "rank = -1 is too small",
		"kind = \"structured\"\nwidth = 0":             "width = 0 is too small",
		`context = "document"`:                         `context = "document" is unknown; want one of learned, annotations, states`,
		`activation = "relu"`:                          `activation = "relu" is unknown; want one of tanh, identity`,
		`init = "zeros"`:                               `init = "zeros" is unknown; want one of width, heads`,
		`temperature = 0`:                              "temperature = 0",
		`penalty = 1.0`:                                `unknown key "penalty" of kind = "lama"; it is a key of structured`,
	} {
		t.Run(fmt.Sprintf("%q", toml), func(t *testing.T) {
			cfg := attention.DefaultPool()
			err := configs.Decode("test.toml", []byte(toml), &cfg, configs.Options{Lists: configs.With(configs.Lists{}, attention.Pools()...)})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
