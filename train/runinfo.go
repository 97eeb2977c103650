package train

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"sparrow/checkpoints"
	"sparrow/kernel"
)

// RunInfo is run.json: where a run's bytes come from.
type RunInfo struct {
	Process           // that began the run
	Resumed []Process `json:"resumed,omitempty"` // that continued it, in order
}

// Process is what a part of a run depends on beside its checkpoint.
type Process struct {
	Step int `json:"step"` // it began after

	Version        string `json:"version"` // of this program: module version or revision
	Go             string `json:"go"`
	OS             string `json:"os"`
	Arch           string `json:"arch"`
	CPU            string `json:"cpu"` // model, "" if not known
	CPUs           int    `json:"cpus"`
	Threads        int    `json:"threads"`
	InstructionSet string `json:"instruction_set"` // bytes are equal only for the same one
	Seed           uint64 `json:"seed"`
	Corpus         string `json:"corpus"`        // SHA-256 of the text
	Config         string `json:"config_sha256"` // of config.toml
}

// newProcess describes this process, whose config.toml is config.
func (t *Trainer) newProcess(config []byte) Process {
	return Process{
		Step: t.state.Step, Version: version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel(), CPUs: runtime.NumCPU(),
		Threads: kernel.Threads(), InstructionSet: kernel.ISA(), Seed: t.cfg.Seed, Corpus: t.facts.Hash, Config: fmt.Sprintf("%x", sha256.Sum256(config)),
	}
}

// cpuModel is the processor's name where the system tells it, as Linux does on most.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
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

// record writes run.json: of a run that continues from a checkpoint, this process
// after those before it. A run that starts at step 0 owes nothing to others.
func (t *Trainer) record(config []byte) error {
	info := RunInfo{Process: t.newProcess(config)}
	if old, ok := t.runInfo(); ok && t.state.Step > 0 {
		old.Resumed = append(old.Resumed, info.Process)
		info = old
	}
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(filepath.Join(t.dir, "run.json"), append(text, '\n'))
}

// runInfo reads run.json; a run without it can still be continued.
func (t *Trainer) runInfo() (info RunInfo, ok bool) {
	text, err := os.ReadFile(filepath.Join(t.dir, "run.json"))
	return info, err == nil && json.Unmarshal(text, &info) == nil
}

// warnChanges tells what makes a resumed run differ from an uninterrupted one.
func (t *Trainer) warnChanges() {
	if info, ok := t.runInfo(); ok {
		for _, p := range append([]Process{info.Process}, info.Resumed...) {
			if p.InstructionSet != kernel.ISA() {
				t.Message("warning: after step %d this run went on with instruction set %s, this machine uses %s: results will differ in the last digits", p.Step, p.InstructionSet, kernel.ISA())
				break
			}
		}
	}
	if t.state.Corpus != t.facts.Hash {
		t.Message("warning: the text has changed since this run began (SHA-256 %.12s, now %.12s): results will differ", t.state.Corpus, t.facts.Hash)
	}
}
