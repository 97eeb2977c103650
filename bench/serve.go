package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/internal/measure"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/saved"
)

// servedModels are what the benchmarks of serving are given.
type servedModels struct {
	writer, draft, encoder string
}

// formats are in what weights are served, and what of llama.cpp's is the nearest. Both sides multiply integers.
var formats = []struct{ ours, theirs string }{{"int8", "Q8_0"}, {"int4", "Q4_0"}}

// What is written and read: few tokens a round, so that both sides have the same machine.
const (
	promptTokens = 16
	newTokens    = 48
	longPrompt   = 512
	sequences    = 8
	servedVocab  = 30000 // below which every model's tokens are words
)

// prompt draws token ids, others for each name.
func prompt(name string, n int) []int {
	r, out := rng.New(7, "bench/serve/"+name, 0), make([]int, n)
	for i := range out {
		out[i] = 1000 + r.Intn(servedVocab-1000)
	}
	return out
}

// serve measures model serve, asked over HTTP, against llama.cpp's library: the time of a token at one request, greedy and by
// temperature 0.8 and top_p 0.95, and at 8; the time to the first token of a prompt of 512; how reading a long prompt slows those who
// write. The sides take turns.
func (b *bench) serve(name string) error {
	if b.models.writer == "" {
		return errors.New("bench: serve wants --model: a folder of Hugging Face's kind, or a GGUF file, of a model that writes")
	}
	dir, program, done, err := buildModel()
	if err != nil {
		return err
	}
	defer done()
	for _, f := range formats {
		ours := filepath.Join(dir, f.ours)
		if err := run(program, "import", b.models.writer, "-o", ours, "--dtype", f.ours, "--embeddings"); err != nil { // as llama.cpp's file holds them
			return err
		}
		if err := b.serveFormat(name+"/"+f.ours, program, ours, func() (*side, error) { return b.llama(dir, program, f.theirs) }); err != nil {
			return err
		}
	}
	return nil
}

// llama starts llama.cpp over the same weights in one of its types; nil: there is none.
func (b *bench) llama(dir, program, ftype string) (*side, error) {
	python := os.Getenv("SPARROW_LLAMA")
	if python == "" {
		return nil, nil
	}
	plain, file := filepath.Join(dir, "plain"), filepath.Join(dir, ftype+".gguf")
	if _, err := os.Stat(plain); err != nil {
		if err := run(program, "import", b.models.writer, "-o", plain); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(file); err != nil {
		if err := run(program, "export", plain, "--format", "gguf", "--type", ftype, "-o", file); err != nil {
			return nil, err
		}
	}
	s, err := startScript("llama.cpp", b.threads, python, "llama.py")
	if err != nil {
		return nil, err
	}
	if _, err := s.ask(request{"cmd": "load", "dir": file, "threads": b.threads}); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// serveFormat measures one format.
func (b *bench) serveFormat(name, program, checkpoint string, theirs func() (*side, error)) error {
	s, err := startServer(program, "m="+checkpoint, "--threads", fmt.Sprint(b.threads), "--slots", fmt.Sprint(sequences), "--context", "6000", "--prefix-mb", "0",
		"--compute", "int8") // as llama.cpp does for these types
	if err != nil {
		return err
	}
	defer s.end()
	peer, err := theirs()
	if err != nil {
		return err
	}
	if peer != nil {
		defer peer.end()
	}
	read, err := readBytes(checkpoint)
	if err != nil {
		return err
	}
	kernel.SetThreads(b.threads)
	speed := kernel.MeasureBandwidth()
	var greedy float64
	for _, c := range []struct {
		what        string
		many        int
		temperature float64
	}{{"greedy", 1, 0}, {"drawn", 1, 0.8}, {"8 greedy", sequences, 0}} {
		prompts := make([][]int, c.many)
		for i := range prompts {
			prompts[i] = prompt(fmt.Sprint(i), promptTokens)
		}
		out, err := b.inTurn(name+"/"+c.what, peer, func() ([]float64, error) { return s.write(prompts, newTokens, c.temperature) },
			request{"cmd": "write", "prompts": prompts, "tokens": newTokens, "temperature": c.temperature})
		if err != nil {
			return err
		}
		switch c.what {
		case "greedy":
			greedy = out.Ours
		case "drawn":
			out.Note = fmt.Sprintf("%.3f of a greedy step; ", out.Ours/greedy)
		}
		out.Note += fmt.Sprintf("%.1f tokens/s; reading %.0f MB of weights from memory takes %.0f%% of a step", float64(c.many)/out.Ours, float64(read)/1e6, 100*float64(read)/speed/out.Ours)
		b.emit(out)
	}
	round := 0
	first, err := b.inTurn(name+"/first of 512", peer, func() ([]float64, error) {
		round++ // a prompt of its own each time
		took, err := s.first(prompt(fmt.Sprint("first", round), longPrompt))
		return []float64{took}, err
	}, request{"cmd": "first", "prompt": prompt("first", longPrompt)})
	if err != nil {
		return err
	}
	first.Note = fmt.Sprintf("%.0f tokens/s", longPrompt/first.Ours)
	b.emit(first)
	return b.servePace(name+"/pace", s)
}

// readBytes is what a step reads of a model's weights: all but embeddings, of which it reads a row, and one that is the head too.
func readBytes(checkpoint string) (int, error) {
	l, err := saved.Open(checkpoint, false, model.Options{Packed: true, Int8: true})
	if err != nil {
		return 0, err
	}
	store := l.Session.Store()
	n := store.Bytes()
	if words, layer, ok := store.Words(); ok && slices.ContainsFunc(store.Names(), func(name string) bool { return strings.HasPrefix(name, "lm_head.") }) {
		n -= store.Quantization(words+".weight").Bytes(layer.In*layer.Out, 4)
	}
	return n, nil
}

// inTurn measures both sides in turn, after a round that warms them up.
func (b *bench) inTurn(name string, peer *side, ours func() ([]float64, error), theirs request) (result, error) {
	var mine, other []float64
	for round := range b.rounds + 1 {
		x, err := ours()
		if err != nil {
			return result{}, err
		}
		if round > 0 {
			mine = append(mine, x...)
		}
		if peer == nil {
			continue
		}
		a, err := peer.ask(theirs)
		if err != nil {
			return result{}, err
		}
		if round > 0 {
			other = append(other, a.Seconds...)
		}
	}
	out := result{Name: name, Threads: b.threads, Ours: measure.Median(mine), InstructionSet: b.ours.isa, Unit: "s"}
	if peer != nil {
		p := measure.Median(other)
		ratio := out.Ours / p
		out.Peer, out.Ratio, out.PeerName, out.PeerVersion, out.PeerBLAS = &p, &ratio, &peer.name, &peer.version, &peer.blas
	}
	return out, nil
}

// buildModel builds the program that serves, in a folder that done removes.
func buildModel() (dir, program string, done func(), err error) {
	if dir, err = os.MkdirTemp("", "bench"); err != nil {
		return "", "", nil, err
	}
	program = filepath.Join(dir, "model")
	if err := run("go", "build", "-o", program, "./cmd/model"); err != nil {
		os.RemoveAll(dir)
		return "", "", nil, fmt.Errorf("bench: run it in the repository's root: %w", err)
	}
	return dir, program, func() { os.RemoveAll(dir) }, nil
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("bench: %s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return nil
}
