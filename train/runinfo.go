package train

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"sparrow/data"
	"sparrow/kernel"
)

// RunInfo is run.json: where a run's bytes come from.
type RunInfo struct {
	Version        string `json:"version"` // of this program: module version or revision
	Go             string `json:"go"`
	OS             string `json:"os"`
	Arch           string `json:"arch"`
	CPUs           int    `json:"cpus"`
	Threads        int    `json:"threads"`
	InstructionSet string `json:"instruction_set"` // bytes are equal only for the same one
	Seed           uint64 `json:"seed"`
	Corpus         string `json:"corpus"` // SHA-256 of the text
}

func newRunInfo(cfg Config, d *data.Dataset) RunInfo {
	return RunInfo{
		Version: version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(),
		Threads: kernel.Threads(), InstructionSet: kernel.ISA(), Seed: cfg.Seed, Corpus: d.SHA256,
	}
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}

func (r RunInfo) encode() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// warnChanges tells what makes a resumed run differ from an uninterrupted one.
func (t *Trainer) warnChanges() {
	text, err := os.ReadFile(filepath.Join(t.dir, "run.json"))
	if err != nil {
		return // a run without it can still be continued
	}
	var old RunInfo
	if json.Unmarshal(text, &old) != nil {
		return
	}
	if old.InstructionSet != kernel.ISA() {
		t.Message("warning: this run began with instruction set %s, this machine uses %s: results will differ in the last digits", old.InstructionSet, kernel.ISA())
	}
	if t.state.Corpus != t.dataset.SHA256 {
		t.Message("warning: the text has changed since this run began (SHA-256 %.12s, now %.12s): results will differ", t.state.Corpus, t.dataset.SHA256)
	}
}
