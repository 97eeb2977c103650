//go:build ignore

// Command make makes the files of this folder again, by the commands of the version that README.md names:
//
//	go run make.go BIN
//
// BIN is the folder of those commands. It runs in this folder, on a machine with AVX-512.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Runs that stay, in the order in which they need each other; of the others only the results do.
var kept = []string{
	"mha", "gqa", "mqa", "mla", "mfa", "mfa_kr", "stf_latent",
	"masked", "reviews", "pairs", "lama", "favit",
	"compress_int8", "compress_int4", "lora", "lora_int8", "lora_int4",
}

var others = []string{
	"byte", "bpe", "lora_float", "stf_support", "lama_single", "lama_structured", "lama_mean", "favit_global", "favit_window",
	"compress_svd", "compress_fwsvd", "compress_tfwsvd", "compress_svd_llm", "compress_asvd", "compress_magnitude",
	"compress_dsformer", "compress_auto", "compress_quantize", "compress_reviews", "compress_favit", "compress_lama",
}

// Result is what the commands made of one config.
type Result struct {
	// Eval is the output of model eval --json: of a training that is kept before it is resumed, of others at their end.
	Eval string `json:"eval"`
	// Files are the SHA-256 of what the last checkpoint holds.
	Files map[string]string `json:"files"`
}

var sets = []string{"go", "avx2", "avx512"}

var bin string

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run make.go BIN")
	}
	var err error
	bin, err = filepath.Abs(os.Args[1])
	check(err)
	data()
	here, err := os.Getwd()
	check(err)
	work, err := os.MkdirTemp("", "v1-")
	check(err)
	defer os.RemoveAll(work)
	for _, dir := range []string{"data", "configs"} {
		check(os.CopyFS(filepath.Join(work, dir), os.DirFS(dir)))
	}
	check(os.Chdir(work))

	outputs := map[string][]byte{} // by the file that keeps them
	for _, name := range kept {
		run := filepath.Join("runs", name)
		start(name, run, "avx512")
		halve(run)
		outputs["inspect/"+name+".txt"] = command("avx512", "model", "inspect", run)
		if strings.HasPrefix(name, "compress_") {
			outputs["verify/"+name+".json"] = command("avx512", "compress", "verify", run, "--json")
		}
	}
	results := map[string]map[string]Result{}
	for _, name := range append(append([]string{}, kept...), others...) {
		if !strings.HasPrefix(name, "compress_") {
			outputs["dry/"+name+".toml"] = command("avx512", "train", "run", "-c", config(name), "--dry-run")
		} else {
			outputs["plan/"+name+".txt"] = command("avx512", "compress", "plan", "-c", config(name))
		}
		results[name] = map[string]Result{}
		for _, isa := range sets {
			results[name][isa] = result(name, isa)
		}
	}

	check(os.Chdir(here))
	for _, dir := range []string{"runs", "dry", "inspect", "plan", "verify"} {
		check(os.RemoveAll(dir))
		check(os.Mkdir(dir, 0o755))
	}
	for name, text := range outputs {
		check(os.WriteFile(name, text, 0o644))
	}
	for _, name := range kept {
		archive(filepath.Join("runs", name+".zip"), filepath.Join(work, "runs", name))
	}
	text, err := json.MarshalIndent(results, "", "\t")
	check(err)
	check(os.WriteFile("results.json", append(text, '\n'), 0o644))
}

func config(name string) string { return filepath.Join("configs", name+".toml") }

// start begins a run and ends it.
func start(name, run, isa string) {
	program := "train"
	if strings.HasPrefix(name, "compress_") {
		program = "compress"
	}
	command(isa, program, "run", "-c", config(name), "-o", run)
}

// halve leaves of a training what one has that was killed after its third step, and of any run nothing that it does without.
func halve(run string) {
	unused := []string{".lock", "loss.svg", "log.jsonl", "events*", "journal", "checkpoints/step-000006", "finetune/checkpoints/step-000003"}
	for _, name := range unused {
		for _, dir := range []string{run, filepath.Join(run, "finetune")} {
			paths, err := filepath.Glob(filepath.Join(dir, name))
			check(err)
			for _, path := range paths {
				check(os.RemoveAll(path))
			}
		}
	}
}

// result is that of one instruction set: of a training that is kept after resuming it, of others from their beginning.
func result(name, isa string) Result {
	run, out := filepath.Join("runs", name), filepath.Join("out", name)
	check(os.RemoveAll("out"))
	check(os.RemoveAll(filepath.Join("runs", ".cache"))) // statistics of another instruction set
	var r Result
	_, err := os.Stat(run)
	half := err == nil && !strings.HasPrefix(name, "compress_")
	if half {
		check(os.CopyFS(out, os.DirFS(run)))
		r.Eval = string(command(isa, "model", "eval", out, "--json"))
		command(isa, "train", "resume", out)
	} else {
		start(name, out, isa)
		r.Eval = string(command(isa, "model", "eval", out, "--json"))
	}
	r.Files = digests(out)
	return r
}

// archive packs a folder.
func archive(path, dir string) {
	f, err := os.Create(path)
	check(err)
	w := zip.NewWriter(f)
	check(w.AddFS(os.DirFS(dir)))
	check(w.Close())
	check(f.Close())
}

// digests are those of a run's last checkpoint.
func digests(run string) map[string]string {
	all, err := filepath.Glob(filepath.Join(run, "checkpoints", "step-*"))
	check(err)
	files := map[string]string{}
	for _, name := range []string{"model.npz", "optimizer.npz", "state.json"} {
		b, err := os.ReadFile(filepath.Join(all[len(all)-1], name))
		if os.IsNotExist(err) {
			continue // a compression that nothing trained
		}
		check(err)
		sum := sha256.Sum256(b)
		files[name] = hex.EncodeToString(sum[:])
	}
	return files
}

// command runs one and returns its standard output.
func command(isa, program string, args ...string) []byte {
	c := exec.Command(filepath.Join(bin, program), args...)
	c.Env = append(os.Environ(), "SPARROW_ISA="+isa)
	var out, messages bytes.Buffer
	c.Stdout, c.Stderr = &out, &messages
	if err := c.Run(); err != nil {
		log.Fatalf("%s %q: %v\n%s", program, args, err, messages.String())
	}
	return out.Bytes()
}

// data writes what the configs read.
func data() {
	r := rand.New(rand.NewPCG(1, 2))
	var corpus, reviews, pairs strings.Builder
	for i := range 100 {
		fmt.Fprintf(&corpus, "func f%d(x int) int { return x + %d }\n", i, i*7%13)
	}
	filling := []string{"the", "film", "was", "and", "plot", "a", "story", "its"}
	telling := [2][]string{{"dull", "poor", "weak"}, {"lovely", "warm", "clever"}}
	words := func(most int, more ...string) string {
		n := 2 + r.IntN(most)
		var w []string
		for range n {
			w = append(w, filling[r.IntN(len(filling))])
		}
		w = append(w, more...)
		r.Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
		return strings.Join(w, " ")
	}
	reviews.WriteString("text\tlabel\n")
	pairs.WriteString("one\ttwo\tscore\n")
	for range 48 {
		label, other := r.IntN(2), r.IntN(2)
		fmt.Fprintf(&reviews, "%s\t%s\n", words(8, telling[label][r.IntN(3)]), []string{"neg", "pos"}[label])
		score := 1.5
		if label != other {
			score = -1
		}
		fmt.Fprintf(&pairs, "%s\t%s\t%g\n", words(4, telling[label][r.IntN(3)]), words(4, telling[other][r.IntN(3)]), score)
	}
	check(os.MkdirAll("data", 0o755))
	for name, text := range map[string]string{"corpus.txt": corpus.String(), "reviews.tsv": reviews.String(), "pairs.tsv": pairs.String()} {
		check(os.WriteFile(filepath.Join("data", name), []byte(text), 0o644))
	}
	for class, name := range []string{"red", "green", "blue"} {
		dir := filepath.Join("data", "images", name)
		check(os.MkdirAll(dir, 0o755))
		for i := range 6 {
			picture := image.NewRGBA(image.Rect(0, 0, 8, 8))
			for p := range 64 {
				ground := uint8(17*i + p%5)
				c := [3]uint8{ground, ground, ground}
				if y, x := p/8, p%8; y >= 2 && y < 6 && x >= 2 && x < 6 {
					c[class] = 220
				}
				picture.SetRGBA(p%8, p/8, color.RGBA{c[0], c[1], c[2], 255})
			}
			var b bytes.Buffer
			check(png.Encode(&b, picture))
			check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o644))
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
