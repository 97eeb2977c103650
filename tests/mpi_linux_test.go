package tests

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mpiTrain builds train with the tag mpi; a machine without Open MPI and its headers skips.
func mpiTrain(t *testing.T) string {
	t.Helper()
	if os.Getenv("SPARROW_MPI") == "" {
		t.Skip("set SPARROW_MPI=1 where Open MPI with its headers, gcc and pkg-config are there (.ci/run mpi)")
	}
	path := filepath.Join(t.TempDir(), "train")
	c := exec.Command("go", "build", "-tags", "mpi", "-o", path, "sparrow/cmd/train")
	c.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build -tags mpi: %v\n%s", err, out)
	}
	return path
}

// mpirun prepares so many processes of one thread each.
func mpirun(dir, train string, ranks int, args ...string) *exec.Cmd {
	c := exec.Command("mpirun", append([]string{"-n", strconv.Itoa(ranks), "--oversubscribe", "--bind-to", "none", train}, append(args, "--threads", "1")...)...)
	c.Dir = dir
	c.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_mpi_yield_when_idle=1")
	return c
}

// A run over MPI leaves the bytes of one process, whatever the number of processes; the program without MPI is that one process.
func TestMPILeavesTheBytesOfOneProcess(t *testing.T) {
	train := mpiTrain(t)
	dir, decoder := killable(t)
	reviewsDir, classifier := killableClassifier(t)
	steps := []string{"--set", "train.steps=24", "--set", "train.shards=4"}
	for _, c := range []struct {
		name, dir string
		args      []string
	}{
		{"decoder", dir, decoder},
		{"adamw8bit, clipping", dir, append(decoder[:len(decoder):len(decoder)], "--set", "train.optimizer=adamw8bit", "--set", "train.grad_clip=0.5")},
		{"sltrain, zero", dir, append(decoder[:len(decoder):len(decoder)], "--set", "train.zero=1", "--set", `model.linear=[{match="*.layers.*",kind="sltrain",rank=4,density=0.1}]`)},
		{"encoder", reviewsDir, classifier},
	} {
		t.Run(c.name, func(t *testing.T) {
			one := strings.ReplaceAll(strings.ReplaceAll(c.name, ",", ""), " ", "-") + "1"
			mustRun(t, c.dir, "train", append(append([]string{"run", "-o", one, "--threads", "2"}, c.args...), steps...)...)
			want := readTrained(t, filepath.Join(c.dir, one))
			for _, ranks := range []int{2, 4} {
				name := fmt.Sprint(strings.TrimSuffix(one, "1"), ranks)
				if out, err := mpirun(c.dir, train, ranks, append(append([]string{"run", "-o", name}, c.args...), steps...)...).CombinedOutput(); err != nil {
					t.Fatalf("%d ranks: %v\n%s", ranks, err, out)
				}
				readTrained(t, filepath.Join(c.dir, name)).equal(t, want)
			}
		})
	}
}

// A rank is killed, again and again; each time a random number of ranks continues, to the bytes of a run that nobody disturbed. The job
// ends soon with an error, and a rank that is left says how to continue.
func TestMPIKilledRanks(t *testing.T) {
	train := mpiTrain(t)
	dir, args := killable(t)
	args = append(args, "--set", "train.shards=4")
	mustRun(t, dir, "train", append([]string{"run", "-o", "whole"}, args...)...)
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("SPARROW_MPI_KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random, told := rand.New(rand.NewPCG(seed, 0)), 0
	name, round := "killed", 0
	for done := 0; done < kills; {
		verb := []string{"resume", name}
		if _, err := os.Stat(filepath.Join(dir, name, "config.toml")); err != nil {
			verb = append([]string{"run", "-o", name}, args...)
		}
		c := mpirun(dir, train, 2<<random.IntN(2), verb...)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		began := lastStep(filepath.Join(dir, name))
		waitForStep(filepath.Join(dir, name), began+1+random.IntN(3))
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		ranks := children(c.Process.Pid)
		if len(ranks) > 0 {
			_ = syscall.Kill(ranks[random.IntN(len(ranks))], syscall.SIGKILL)
		}
		killed := time.Now()
		err := c.Wait()
		if took := time.Since(killed); took > 30*time.Second {
			t.Errorf("the job took %s to end", took)
		}
		if err == nil { // it had finished: begin another one
			readTrained(t, filepath.Join(dir, name)).equal(t, readTrained(t, filepath.Join(dir, "whole")))
			round++
			name = fmt.Sprint("killed", round)
			continue
		}
		if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() == 0 {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if strings.Contains(out.String(), "train resume") || strings.Contains(out.String(), " resume "+name) {
			told++
		}
		done++
	}
	if told == 0 {
		t.Error("no rank that was left ever said how to continue")
	}
	if out, err := mpirun(dir, train, 1, "resume", name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	readTrained(t, filepath.Join(dir, name)).equal(t, readTrained(t, filepath.Join(dir, "whole")))
	t.Logf("%d kills, after %d of them a rank said how to continue", kills, told)
}

// children are the processes that one has started.
func children(pid int) (pids []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(f); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// Without the tag there is no cgo, and a program that is started as one of several says what it lacks.
func TestWithoutMPI(t *testing.T) {
	dir := workplace(t)
	c := command(t, dir, "train", "run", "-c", "tiny.toml", "-o", "run")
	c.Env = append(c.Env, "OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=0")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "go build -tags mpi") {
		t.Errorf("%v\n%s", err, out)
	}
	if c.ProcessState.ExitCode() != 2 {
		t.Errorf("exit code %d, want 2", c.ProcessState.ExitCode())
	}
	if _, err := os.Stat(filepath.Join(dir, "run")); err == nil {
		t.Error("a folder was made")
	}
}
