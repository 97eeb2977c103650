// Command bench measures speed and memory against PyTorch on the same model,
// weights, batches and threads, in one run: the two sides in turn, medians.
//
//	go run ./bench                          everything, at 1 and 2 threads
//	go run ./bench step-a --threads 1 --json
//	go run ./bench --against BINARY         this version against another
//
// BINARY is this program as another version builds it (go build -o BINARY ./bench
// in its checkout). Its workers and ours run step-a, step-b, decode-b and
// compress-bert, which is then of half the width and depth, in turn: in rounds of
// two new processes, at least 9 of them, until the 95% interval of the ratio, by
// Student's t over the logarithms of the rounds' ratios, is within +-0.02, or 60
// rounds or 15 minutes of one benchmark are over. The exit code is 1 if an
// interval lies wholly above 1.03.
//
// The peer is the interpreter named by SPARROW_PYTHON, else the first of python3
// and /usr/bin/python3 that imports torch. Without one, our side is measured
// alone. embed-torch also wants transformers, and embed-onnx onnx and onnxruntime. Each side is a process of its own, so that its peak memory is its own.
//
//	go run ./bench step-a step-b step-encoder favit-b0 --precision bfloat16
//
// --precision trains both sides in float32 or in bfloat16, the peer under autocast; the peer is there twice, as it is and
// under torch.compile, which wants a C++ compiler (g++), and the faster one counts.
//
//	go run ./bench step-a --threads 1 --profile --precision bfloat16
//
// --profile has no peer: it lists where a step's time goes, products of matrices and what is beside them.
//
// serve, serve-draft, serve-vectors and serve-many run when they are named. serve asks model serve
// over HTTP and compares it with llama.cpp's library, in the interpreter that
// SPARROW_LLAMA names and that imports llama_cpp; serve-vectors compares it with
// sentence-transformers behind a plain HTTP server, in SPARROW_PYTHON:
//
//	SPARROW_LLAMA=venv/bin/python go run ./bench serve --model SmolLM2-135M-Instruct.gguf
//	go run ./bench serve-draft --model SmolLM2-135M-Instruct.gguf --draft runs/small
//
// embed-onnx-int8 computes in 8 bits beside the model that onnxruntime quantizes dynamically, weights to 8 bits, from the same.
//
// PyTorch's matrix products are those of the BLAS in its build (MKL in the wheels
// for amd64); the peer reports which, as peer_blas and above the table.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// result is one line of output. Ours and Peer are times, of which the lower is
// the better, except in NAME/speedup; Ratio is ours over peer. What is not known
// is null.
type result struct {
	Name           string   `json:"name"`
	Threads        int      `json:"threads"`
	Ours           float64  `json:"ours"`
	Peer           *float64 `json:"peer"`
	PeerName       *string  `json:"peer_name"`
	PeerVersion    *string  `json:"peer_version"`
	PeerBLAS       *string  `json:"peer_blas"`
	InstructionSet string   `json:"instruction_set"`
	Unit           string   `json:"unit"`
	Ratio          *float64 `json:"ratio"`
	OursPeakMB     *float64 `json:"ours_peak_mb"`
	PeerPeakMB     *float64 `json:"peer_peak_mb"`
	PeerBaseMB     *float64 `json:"peer_base_mb"` // of the peer's code alone, before any network
	Note           string   `json:"note,omitempty"`
}

// benchmarks are the names in the order they run.
var benchmarks = []struct {
	name   string
	run    func(*bench, string) error
	scales bool // the gain from a second thread is a result of its own
	asked  bool // it runs where it is named alone, with a peer of its own or none
}{
	{"gemm", (*bench).gemm, false, false},
	{"step-a", (*bench).step, true, false},
	{"step-b", (*bench).step, true, false},
	{"step-mfa", (*bench).step, true, false},
	{"step-encoder", (*bench).step, true, false},
	{"step-lama", (*bench).step, true, false},
	{"decode-b", (*bench).decode, false, false},
	{"decode-compressed", (*bench).decodeCompressed, false, false},
	{"gru", (*bench).gru, false, false},
	{"sltrain-layer", (*bench).sltrainLayer, false, false},
	{"sltrain-step", (*bench).sltrainStep, false, false},
	{"svd", (*bench).svd, false, false},
	{"semi-nmf", (*bench).semiNMF, true, false},
	{"compress-bert", (*bench).compressBERT, false, false},
	{"favit-b0", (*bench).favit, true, false},
	{"embed-torch", (*bench).embed, false, false},
	{"embed-onnx", (*bench).embed, false, false},
	{"embed-onnx-int8", (*bench).embed, false, false},
	{"serve", (*bench).serve, false, true},
	{"serve-draft", (*bench).serveDraft, false, true},
	{"serve-vectors", (*bench).serveVectors, false, true},
	{"serve-many", (*bench).serveMany, true, true},
}

// bench is one measurement: both sides at one number of threads.
type bench struct {
	threads    int
	rounds     int
	ours, peer *side // peer is nil without PyTorch
	compiled   *side // the peer under torch.compile; nil: none
	best       *side // of the two, in the last measurement
	contest    string
	precision  string // of training; "": float32, and the peer is not compiled
	profile    bool   // in place of times
	emit       func(result)
	models     servedModels
}

func main() {
	var threads []int
	var rounds int
	var asJSON, profile bool
	var precision string
	var baseline string
	var models servedModels
	var names []string
	for _, b := range benchmarks {
		names = append(names, b.name)
	}
	root := &cobra.Command{
		Use:   "bench [NAME...]",
		Short: "Measure speed and memory against PyTorch",
		Long: "Measure speed and memory against PyTorch.\nNames: " + strings.Join(names, ", ") + " (default: all).\n" +
			"With --against two versions are measured in turn until the 95% interval of their ratio is within +-0.02, at 9 to 60 rounds,\n" +
			"and one that lies wholly above 1.03 makes the exit code 1. Names: " + strings.Join(contested, ", ") + " (default: all of these).",
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(_ *cobra.Command, args []string) error {
			names := names
			if baseline != "" {
				names = contested
			}
			for _, a := range args {
				if !slices.Contains(names, a) {
					return fmt.Errorf("bench: no benchmark %q; want one of %s", a, strings.Join(names, ", "))
				}
			}
			if baseline != "" {
				return against(baseline, args, threads, comparisonPrinter(asJSON))
			}
			if precision != "" || profile {
				if precision != "" && precision != "float32" && precision != "bfloat16" {
					return fmt.Errorf("bench: --precision %s; want float32 or bfloat16", precision)
				}
				if len(args) == 0 {
					args = trained[:4]
				}
				for _, a := range args {
					if !slices.Contains(trained, a) {
						return fmt.Errorf("bench: --precision and --profile are of training steps: %s; got %s", strings.Join(trained, ", "), a)
					}
				}
			}
			print := printer(asJSON)
			for _, b := range benchmarks {
				if len(args) > 0 && !slices.Contains(args, b.name) || len(args) == 0 && b.asked {
					continue
				}
				at := map[int]result{} // by number of threads
				for _, n := range threads {
					emit := func(r result) {
						if r.Name == b.name {
							at[n] = r
						}
						print(r)
					}
					m := &bench{threads: n, rounds: rounds, emit: emit, models: models, precision: precision, profile: profile}
					if err := m.compare(!b.asked && !profile, func() error { return b.run(m, b.name) }); err != nil {
						return err
					}
				}
				one, hasOne := at[1]
				two, hasTwo := at[2]
				if b.scales && !profile && hasOne && hasTwo {
					print(speedup(one, two))
				}
			}
			return nil
		},
	}
	root.Flags().IntSliceVar(&threads, "threads", []int{1, 2}, "numbers of threads to measure at")
	root.Flags().IntVar(&rounds, "rounds", 9, "turns of each side; the median counts")
	root.Flags().StringVar(&baseline, "against", "", "another version's build of this program, to be compared with in place of PyTorch")
	root.Flags().StringVar(&models.writer, "model", "", "of serve and serve-draft: a model that writes, a folder of Hugging Face's kind or a GGUF file, such as SmolLM2's")
	root.Flags().StringVar(&models.draft, "draft", "", "of serve-draft: a checkpoint with the same tokens that guesses what it writes, such as a compressed version (default: the model itself in 8 and in 4 bits)")
	root.Flags().StringVar(&models.encoder, "encoder", "", "of serve-vectors: a folder of sentence-transformers' kind, such as MiniLM's")
	root.Flags().StringVar(&precision, "precision", "", "of training: float32 or bfloat16, against the faster of PyTorch's eager mode and torch.compile")
	root.Flags().BoolVar(&profile, "profile", false, "list where the time of a training step goes, without a peer")
	root.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	root.AddCommand(&cobra.Command{Use: "worker", Hidden: true, RunE: func(*cobra.Command, []string) error { return work(os.Stdin, os.Stdout) }})
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// trained are the benchmarks of training steps, those that run first where none is named.
var trained = []string{"step-a", "step-b", "step-encoder", "favit-b0", "step-mfa", "step-lama"}

// compare starts the sides, runs f and ends them.
func (b *bench) compare(torch bool, f func() error) (err error) {
	if b.ours, err = startOurs(b.threads); err != nil {
		return err
	}
	defer b.ours.end()
	if torch {
		if b.peer, err = startPeer(b.threads); err != nil {
			return err
		}
	}
	if b.peer == nil {
		return f()
	}
	defer b.peer.end()
	if b.precision == "" {
		return f()
	}
	if _, err := exec.LookPath("g++"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: there is no g++, which torch.compile wants: the peer is eager alone; install it, on Debian by apt-get install g++")
		return f()
	}
	if b.compiled, err = startPeer(b.threads); err != nil {
		return err
	}
	defer b.compiled.end()
	b.compiled.name = "torch.compile"
	return f()
}

// training is a request to load a network, with the precision, and for whom it is compiled.
func (b *bench) training(s *side, r request) request {
	r = maps.Clone(r)
	r["precision"], r["compile"] = b.precision, s == b.compiled
	return r
}

// lossTolerance is how far losses of the sides may be apart: rounding, and of bfloat16 that of activations, which the peer
// rounds, too.
var lossTolerance = map[string]float64{"": 1e-3, "float32": 1e-3, "bfloat16": 3e-2}

// sameLoss is an error if the sides do not compute the same.
func (b *bench) sameLoss(name string, losses map[*side]float64) error {
	for s, loss := range losses {
		if math.Abs(losses[b.ours]-loss) > lossTolerance[b.precision] {
			return fmt.Errorf("bench: %s: the sides do not compute the same: loss %g, %s %g", name, losses[b.ours], s.name, loss)
		}
	}
	return nil
}

// printer writes results for people or for machines.
func printer(asJSON bool) func(result) {
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		return func(r result) { e.Encode(r) }
	}
	header := false
	return func(r result) {
		if !header {
			if r.PeerName != nil {
				fmt.Printf("peer: %s %s, BLAS: %s\n", *r.PeerName, *r.PeerVersion, *r.PeerBLAS)
			}
			fmt.Printf("%-26s %7s %12s %12s %7s %9s %9s  %s\n", "name", "threads", "ours", "peer", "ratio", "ours MB", "peer MB", "")
			header = true
		}
		value := func(x *float64, format string) string {
			if x == nil {
				return "-"
			}
			return fmt.Sprintf(format, *x)
		}
		fmt.Printf("%-26s %7d %12s %12s %7s %9s %9s  %s\n", r.Name, r.Threads, value(&r.Ours, "%.4g "+r.Unit), value(r.Peer, "%.4g "+r.Unit),
			value(r.Ratio, "%.3f"), value(r.OursPeakMB, "%.0f"), value(r.PeerPeakMB, "%.0f"), r.Note)
	}
}
