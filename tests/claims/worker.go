package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/internal/measure"
	"sparrow/internal/shell"
	"sparrow/kernel"
	"sparrow/model/decoder"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/train"
	"sparrow/train/stf"
)

// workerCommand is the argument that makes this program one training run.
const workerCommand = "worker"

// request is one line to a worker: a run to make in a folder below Dir.
type request struct {
	Config  string `json:"config"` // TOML
	Dir     string `json:"dir"`
	Threads int    `json:"threads"` // 0: all cores
	Tuning  bool   `json:"tuning"`  // a classifier is not measured on its test split

	// Run is where a training run has its folder, and goes on after it was cut; "": in one below Dir, which does not outlive the
	// process. After Piece it saves its state and ends, to go on in the next process; 0: it trains to the end.
	Run   string        `json:"run,omitempty"`
	Piece time.Duration `json:"piece,omitempty"`

	Import   string `json:"import,omitempty"`   // file of a foreign network that becomes the checkpoint Keep, in place of training
	Keep     string `json:"keep,omitempty"`     // folder for the checkpoint of a network that will be compressed
	Compress string `json:"compress,omitempty"` // TOML of a compression of one that Config has trained; "": Config trains
}

// reply is a worker's answer.
type reply struct {
	Result Result `json:"result"`
	Error  string `json:"error,omitempty"`
	Again  bool   `json:"again,omitempty"` // a piece has ended: ask for the next
}

// Result is what one training run measured, and what the cache keeps of it.
type Result struct {
	Loss       float64 `json:"loss,omitempty"`     // nats a token on the validation text, after the last step
	Diverged   string  `json:"diverged,omitempty"` // why there is no loss
	Parameters int     `json:"parameters"`
	PeakMemory int     `json:"peak_memory,omitempty"` // resident, of the process, bytes; 0: not known
	CacheBytes int     `json:"cache_bytes,omitempty"` // of a token in all layers, when a decoder generates
	// AttentionParameters are the weights of the attention layers, all together; of a
	// classifier their biases too.
	AttentionParameters int `json:"attention_parameters,omitempty"`

	// What a classifier has.
	ValidationAccuracy float64 `json:"validation_accuracy,omitempty"`
	Spearman           float64 `json:"spearman,omitempty"`      // of scores of pairs of texts, on held-out data
	Accuracy           float64 `json:"accuracy,omitempty"`      // on the test split, which tuning runs do not see
	EpochSeconds       float64 `json:"epoch_seconds,omitempty"` // that training takes for all examples once
	StepSeconds        float64 `json:"step_seconds,omitempty"`  // of training

	// What a recommender has, on the test split, by name.
	Ranking map[string]float64 `json:"ranking,omitempty"`

	// What a classifier of images has: on its test split spoilt in the ways of data.Corruptions, over all severities.
	CorruptionAccuracy float64   `json:"corruption_accuracy,omitempty"` // over all of them
	Corruptions        []float64 `json:"corruptions,omitempty"`         // of each, in order

	// What a compressed network has: what the layers of the budget take, values and indices, and took.
	Bytes      int `json:"bytes,omitempty"`
	DenseBytes int `json:"dense_bytes,omitempty"`

	Changed stf.Changed `json:"atoms_changed,omitempty"` // by STF, in each tenth of the steps

	Steps          int     `json:"steps"`
	Tokens         int     `json:"tokens"`  // trained on
	Seconds        float64 `json:"seconds"` // of the whole process
	Threads        int     `json:"threads"`
	InstructionSet string  `json:"instruction_set"`
	Go             string  `json:"go"`
	Commit         string  `json:"commit"`         // of the program, if known
	Code           string  `json:"code,omitempty"` // hash of the packages that it ran; "": it was not kept
}

// work makes the one run that it reads of and answers. It ends when its input
// does, because then the program that started it is gone.
func work(in io.Reader, out io.Writer) int {
	signal.Ignore(os.Interrupt) // a terminal sends it to all; the program closes our input
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	var r request
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	dir := ""
	if err == nil {
		dir, err = os.MkdirTemp(r.Dir, "run-")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "claims: worker:", err)
		return exitFailed
	}
	defer os.RemoveAll(dir)
	go func() {
		lines.ReadByte()
		os.RemoveAll(dir)
		os.Exit(exitInterrupted)
	}()
	var answer reply
	do := trainOnce
	switch {
	case r.Compress != "":
		do = compressOnce
	case r.Import != "":
		do = importOnce
	}
	answer.Result, err = do(r, dir)
	switch {
	case errors.Is(err, shell.ErrInterrupted):
		answer.Again = true
	case err != nil:
		answer.Error = err.Error()
	case r.Run != "":
		os.RemoveAll(r.Run)
	}
	if json.NewEncoder(out).Encode(answer) != nil {
		return exitFailed
	}
	return exitOK
}

// trainOnce is one training run in this process.
func trainOnce(r request, dir string) (Result, error) {
	kernel.SetThreads(r.Threads)
	cfg := recipe.Default()
	if err := configs.Decode("run", []byte(r.Config), &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
		return Result{}, err
	}
	began := time.Now()
	out := Result{Steps: cfg.Train.Steps, Threads: kernel.Threads(), InstructionSet: kernel.ISA(), Go: runtime.Version()}
	if r.Run != "" {
		dir = filepath.Join(r.Run, "run")
	}
	t, err := resumed(cfg, dir)
	if err != nil {
		return out, err
	}
	first := t.Step() // a piece makes at least one step, however long that takes
	result, err := t.Run(context.Background(), func() bool {
		return r.Run != "" && r.Piece > 0 && t.Step() > first && time.Since(began) > r.Piece
	})
	spent, readErr := spentOn(r.Run)
	if readErr != nil {
		return out, readErr
	}
	if spent.PeakMemory = max(spent.PeakMemory, measure.PeakBytes()); errors.Is(err, shell.ErrInterrupted) {
		spent.Seconds += time.Since(began).Seconds()
		return out, errors.Join(err, spent.keep(r.Run))
	}
	var diverged *train.DivergedError
	switch {
	case errors.As(err, &diverged):
		out.Diverged = fmt.Sprintf("step %d: the %s is %v", diverged.Step, diverged.What, diverged.Value)
	case err != nil:
		return out, err
	}
	out.Loss, out.Parameters, out.Tokens = result.Score.Loss(), result.Parameters, result.Tokens
	out.Changed = result.Changed
	out.PeakMemory = spent.PeakMemory // of training
	if m, ok := cfg.Model.Of.(decoder.Config); ok {
		out.CacheBytes = m.NLayer * m.Attention.CacheLayout(m.DModel).Elements() * 4 // in float32
		out.AttentionParameters = m.NLayer * int(m.Attention.Parameters(m.DModel))
	}
	if out.Diverged == "" && classifies(cfg) {
		out.ValidationAccuracy, _ = result.Score.Value("accuracy")
		if !r.Tuning {
			if err := out.classify(cfg, result); err != nil {
				return out, err
			}
		}
	}
	if out.Diverged == "" && ranks(cfg) {
		out.Loss = result.BestLoss
		if !r.Tuning {
			if err := out.rank(result); err != nil {
				return out, err
			}
		}
	}
	if r.Keep != "" && out.Diverged == "" {
		if err := out.keep(cfg, result.Best, r.Keep); err != nil {
			return out, err
		}
	}
	out.Seconds = spent.Seconds + time.Since(began).Seconds()
	return out, nil
}

// resumed is a run of a config in dir: the one that was begun there, if it has a checkpoint, or a new one.
func resumed(cfg recipe.Config, dir string) (*train.Trainer, error) {
	if _, err := saved.Find(dir, true); err == nil {
		t, _, err := train.Resume(context.Background(), dir, "", nil, io.Discard)
		return t, err
	}
	if err := os.RemoveAll(dir); err != nil { // of a process that ended before the first checkpoint
		return nil, err
	}
	return train.New(context.Background(), cfg, dir, false, io.Discard)
}

// spent is what the pieces of a run before this one took.
type spent struct {
	Seconds    float64 `json:"seconds"`
	PeakMemory int     `json:"peak_memory"`
}

// spentOn reads it from the folder of a run; nothing was, where there is none.
func spentOn(run string) (s spent, err error) {
	if run == "" {
		return s, nil
	}
	text, err := os.ReadFile(filepath.Join(run, "spent.json"))
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

func (s spent) keep(run string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(filepath.Join(run, "spent.json"), append(text, '\n'))
}

// ask has a request answered by a process of its own, a copy of this program; a long run by one after the other.
func ask(ctx context.Context, r request) (Result, error) {
	for {
		answer, err := askOnce(ctx, r)
		if err != nil || !answer.Again {
			return answer.Result, err
		}
	}
}

func askOnce(ctx context.Context, r request) (answer reply, err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return answer, err
	}
	self, err := os.Executable()
	if err != nil {
		return answer, err
	}
	cmd := exec.CommandContext(ctx, self, workerCommand)
	in, err := cmd.StdinPipe()
	if err != nil {
		return answer, err
	}
	cmd.Cancel = in.Close // the worker removes its folder and ends
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return answer, err
	}
	_, writeErr := in.Write(append(line, '\n'))
	err = cmd.Wait()
	if ctx.Err() != nil {
		return answer, ctx.Err()
	}
	if err = errors.Join(err, writeErr); err != nil {
		return answer, fmt.Errorf("a training process ended: %w\n%s", err, measure.Tail(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return answer, fmt.Errorf("a training process answered %q: %w", measure.Tail(stdout.String()), err)
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}
