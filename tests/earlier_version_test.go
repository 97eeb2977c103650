package tests

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sparrow/kernel"
)

// version1 is what the version of testdata/v1/README.md left.
const version1 = "testdata/v1"

// earlierResult is what the earlier version made of one config, with one instruction set.
type earlierResult struct {
	Eval  string            `json:"eval"`  // model eval --json
	Files map[string]string `json:"files"` // SHA-256 of what the last checkpoint holds
}

// earlierResults are by config and instruction set.
func earlierResults(t *testing.T) map[string]map[string]earlierResult {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(version1, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var results map[string]map[string]earlierResult
	if err := json.Unmarshal(text, &results); err != nil {
		t.Fatal(err)
	}
	return results
}

// earlierWorkplace is a folder with the configs, data and runs of the earlier version, and the names of the runs.
func earlierWorkplace(t *testing.T) (dir string, kept []string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"configs", "data"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(version1, name))); err != nil {
			t.Fatal(err)
		}
	}
	archives, err := filepath.Glob(filepath.Join(version1, "runs", "*.zip"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no runs in %s (%v)", version1, err)
	}
	for _, path := range archives {
		name := strings.TrimSuffix(filepath.Base(path), ".zip")
		kept = append(kept, name)
		unpackEarlier(t, name, filepath.Join(dir, "runs", name))
	}
	return dir, kept
}

// unpackEarlier puts a run of the earlier version into a folder.
func unpackEarlier(t *testing.T, name, dir string) {
	t.Helper()
	r, err := zip.OpenReader(filepath.Join(version1, "runs", name+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.CopyFS(dir, r); err != nil {
		t.Fatal(err)
	}
}

func isCompression(name string) bool { return strings.HasPrefix(name, "compress_") }

// TestEarlierVersion: runs of the earlier version evaluate to the same digits and continue to the same bytes, and its configs
// give the same bytes from the beginning; on every instruction set of this CPU.
func TestEarlierVersion(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the bytes are those of amd64: compilers for other machines fuse multiplications with additions")
	}
	results := earlierResults(t)
	sets := []string{"go", "avx2", "avx512"}
	sets = sets[:slices.Index(sets, kernel.ISA())+1]
	if testing.Short() {
		sets = sets[len(sets)-1:]
	}
	needBinaries(t)
	for _, isa := range sets {
		t.Run(isa, func(t *testing.T) {
			t.Parallel()
			dir, kept := earlierWorkplace(t)
			exec := func(t *testing.T, program string, args ...string) string {
				t.Helper()
				c := command(t, dir, program, args...)
				c.Env = append(c.Env, "SPARROW_ISA="+isa)
				return output(t, c)
			}
			for _, name := range slices.Sorted(maps.Keys(results)) {
				want, ok := results[name][isa]
				if !ok {
					t.Fatalf("%s has no result of %s", name, isa)
				}
				config, out := "configs/"+name+".toml", "out/"+name
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					switch {
					case isCompression(name):
						exec(t, "compress", "run", "-c", config, "-o", out, "--set", "compress.cache="+t.TempDir())
					case slices.Contains(kept, name):
						unpackEarlier(t, name, filepath.Join(dir, out))
						saysStill(t, "model eval "+name, exec(t, "model", "eval", out, "--json"), want.Eval)
						exec(t, "train", "resume", out)
					default:
						exec(t, "train", "run", "-c", config, "-o", out)
					}
					if isCompression(name) || !slices.Contains(kept, name) {
						saysStill(t, "model eval "+name, exec(t, "model", "eval", out, "--json"), want.Eval)
					}
					sameFiles(t, filepath.Join(dir, out), want.Files)
					if isCompression(name) || testing.Short() || !slices.Contains(kept, name) || isa != "avx512" {
						return
					}
					// From the config that the run keeps, with all its keys, on what its first half ran on.
					exec(t, "train", "run", "-c", "runs/"+name+"/config.toml", "-o", out+"-anew")
					sameFiles(t, filepath.Join(dir, out+"-anew"), want.Files)
				})
			}
		})
	}
}

// saysStill compares the values of a JSON object that an earlier version wrote with those of today; today's may say more.
func saysStill(t *testing.T, what, got, earlier string) {
	t.Helper()
	var now, then map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal([]byte(got), &now), json.Unmarshal([]byte(earlier), &then)); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for key, want := range then {
		if string(now[key]) != string(want) {
			t.Errorf("%s: %s is %s, and was %s", what, key, now[key], want)
		}
	}
}

// output is what a command writes, which must end with exit code 0.
func output(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", c.Args[1:], err, stderr.String())
	}
	return string(out)
}

// sameFiles compares the newest checkpoint of a run with digests.
func sameFiles(t *testing.T, run string, want map[string]string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(run, "checkpoints", "step-*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%s has no checkpoint (%v)", run, err)
	}
	newest := slices.Max(all)
	for name, digest := range want {
		text, err := os.ReadFile(filepath.Join(newest, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != digest {
			t.Errorf("%s of %s has other bytes than by the earlier version", name, filepath.Base(newest))
		}
	}
}

// planLine is a part of a memory plan, of those that do not depend on the size of the program.
var planLine = regexp.MustCompile(`(?m)^#   (?:weights|gradients|optimizer|activations|corpus|teacher|base) .*$`)

// TestEarlierConfigs: what people write, what a run of the earlier version kept of it and what the earlier dry run printed
// are the same run, with the memory plan that it had.
func TestEarlierConfigs(t *testing.T) {
	t.Parallel()
	dir, kept := earlierWorkplace(t)
	if err := os.CopyFS(filepath.Join(dir, "dry"), os.DirFS(filepath.Join(version1, "dry"))); err != nil {
		t.Fatal(err)
	}
	needBinaries(t)
	for _, path := range glob(t, filepath.Join(version1, "dry", "*.toml")) {
		name := strings.TrimSuffix(filepath.Base(path), ".toml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && !slices.Contains(kept, name) {
				t.Skip("-short takes the runs that are kept")
			}
			earlier, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			configs := []string{"configs/" + name + ".toml", "dry/" + name + ".toml"}
			if slices.Contains(kept, name) {
				configs = append(configs, "runs/"+name+"/config.toml")
			}
			var first string
			for _, config := range configs {
				got := mustRun(t, dir, "train", "run", "-c", config, "--dry-run").stdout
				if first == "" {
					first = got
				}
				if got != first {
					t.Errorf("--dry-run of %s and of %s differ:\n%s\n%s", configs[0], config, first, got)
				}
			}
			got, want := planLine.FindAllString(first, -1), planLine.FindAllString(string(earlier), -1)
			if len(want) < 4 || !slices.Equal(got, want) {
				t.Errorf("the memory plan was\n%s\nand is\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
			}
		})
	}
}

// fourDecimals writes predicted losses as the earlier version did, which had two digits of none below 0.001, and one blank between columns.
func fourDecimals(text string) string {
	text = predicted.ReplaceAllStringFunc(text, func(x string) string {
		v, err := strconv.ParseFloat(x, 64)
		if err != nil {
			return x
		}
		return fmt.Sprintf("%+.4f", v)
	})
	return columns.ReplaceAllString(text, " ")
}

var (
	predicted = regexp.MustCompile(`[+-]\d[\d.]*(e[+-]\d+)?\b`)
	columns   = regexp.MustCompile(` +`)
)

// TestEarlierReports: model inspect says of the earlier version's checkpoints what it said then, compress plans the same, and
// compress verify keeps its keys and finds no broken promise.
func TestEarlierReports(t *testing.T) {
	t.Parallel()
	dir, kept := earlierWorkplace(t)
	needBinaries(t)
	compare := func(kind, name string, program string, args ...string) {
		t.Run(kind+" "+name, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(filepath.Join(version1, kind, name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			if got := mustRun(t, dir, program, args...).stdout; fourDecimals(got) != fourDecimals(string(want)) {
				t.Errorf("%s %q: got\n%s\nwant\n%s", program, args, got, want)
			}
		})
	}
	for _, name := range kept {
		compare("inspect", name, "model", "inspect", "runs/"+name)
	}
	if kernel.ISA() != "go" { // predicted losses depend on it in their last printed digits
		for _, path := range glob(t, filepath.Join(version1, "plan", "*.txt")) {
			name := strings.TrimSuffix(filepath.Base(path), ".txt")
			compare("plan", name, "compress", "plan", "-c", "configs/"+name+".toml", "--set", "compress.cache="+filepath.Join(dir, "cache", name))
		}
	}
	for _, path := range glob(t, filepath.Join(version1, "verify", "*.json")) {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run("verify "+name, func(t *testing.T) {
			t.Parallel()
			earlier, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := mustRun(t, dir, "compress", "verify", "runs/"+name, "--json").stdout
			for _, key := range keysOf(t, string(earlier)) {
				if !slices.Contains(keysOf(t, got), key) {
					t.Errorf("there is no key %q any more", key)
				}
			}
		})
	}
}

// keysOf lists the paths of all keys of a JSON text, those of an array's objects once.
func keysOf(t *testing.T, text string) []string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	paths := map[string]bool{}
	var visit func(path string, v any)
	visit = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				paths[path+"."+key] = true
				visit(path+"."+key, value)
			}
		case []any:
			for _, value := range v {
				visit(path+"[]", value)
			}
		}
	}
	visit("", value)
	return slices.Sorted(maps.Keys(paths))
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("nothing is like %s (%v)", pattern, err)
	}
	return paths
}
