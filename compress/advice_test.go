package compress

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/nn"
)

// TestAdviceFollowsTheStart: the commands that errors advise are those of a program that was started by go run or by a path.
func TestAdviceFollowsTheStart(t *testing.T) {
	self := os.Args[0]
	t.Cleanup(func() { os.Args[0] = self })
	s := mustOpen(t, configOf(t, trainedRun(t), "svd", 0.5)).loaded.Session.Store()
	cfg := DefaultConfig().Compress
	empty, finished := t.TempDir(), filepath.Join(t.TempDir(), "out")
	mustRun(t, configOf(t, trainedRun(t), "svd", 0.5), finished)
	if err := os.WriteFile(filepath.Join(finished, verifyFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	advice := map[string]func() error{
		"model merge runs/a -o NEW": func() error { return refuse("runs/a", "x", nn.Layer{Rule: nn.Rule{OneOf: nn.As(nn.LowRank{})}}) },
		"model merge runs/b -o NEW": func() error {
			return refuse("runs/b", "x", nn.Layer{Rule: nn.Rule{OneOf: nn.As(nn.Dense{}), Storage: nn.Storage{Quantize: "int8"}}})
		},
		"model inspect 'runs/my model'": func() error {
			cfg := cfg
			cfg.Layer = []LayerConfig{{Match: "nothing.*"}}
			_, err := targets(s, cfg, "runs/my model")
			return err
		},
		"compress run -c FILE -o " + empty: func() error { _, err := Read(empty); return err },
		"compress run -c FILE -o DIR":      func() error { return (&verifier{Record: &Record{Dir: "DIR"}}).open(nil) },
		"compress verify " + finished:      func() error { _, err := Read(finished); return err },
	}
	for start, program := range map[string]string{"/tmp/go-build1/b001/exe/compress": "go run ./cmd/", "/opt/sparrow/compress": "/opt/sparrow/"} {
		os.Args[0] = start
		for want, of := range advice {
			want = program + want
			if err := of(); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
				t.Errorf("started as %s: got %v, want the advice %s at the end", start, err, want)
			}
		}
	}
}
