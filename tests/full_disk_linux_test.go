package tests

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sparrow/checkpoints"
)

// smallDisk mounts a file system of a given size, where that is permitted.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			t.Skipf("mounting a small disk needs root: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// TestFullDisk: a disk that fills up during training ends the run with the file
// and the cause; the checkpoints before are sound, and with room the run goes on
// from them.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, "size=600k")
	dir := workplace(t)
	out := filepath.Join(disk, "out")
	// A checkpoint has about 140 kB, so that some fit and keep = 100 never.
	args := []string{"run", "-c", "tiny.toml", "-o", out, "--set", "checkpoint.keep=100", "--set", "train.steps=20"}
	o := run(t, dir, "train", args...)
	if o.code != 1 {
		t.Fatalf("exit code %d, want 1\n%s", o.code, o.stderr)
	}
	o.clean(t)
	if !strings.Contains(o.stderr, "no space left on device") || !strings.Contains(o.stderr, out) {
		t.Errorf("the message lacks cause or place:\n%s", o.stderr)
	}
	all, err := checkpoints.List(out)
	if err != nil || len(all) == 0 {
		t.Fatalf("checkpoints %v, want some (%v)", all, err)
	}
	mustRun(t, dir, "model", "eval", out, "--last")
	if left, _ := filepath.Glob(filepath.Join(out, "checkpoints", ".tmp*")); len(left) > 0 {
		t.Errorf("half-written checkpoints are left: %v", left)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=20m"); err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "train", "resume", out)
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "whole", "--set", "checkpoint.keep=100", "--set", "train.steps=20")
	if got, want := lastModel(t, out), lastModel(t, filepath.Join(dir, "whole")); got != want {
		t.Error("the continued run ended with other weights than an undisturbed one")
	}
}

// TestReadOnlyDisk: nothing can be created.
func TestReadOnlyDisk(t *testing.T) {
	disk := smallDisk(t, "size=600k")
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	dir := workplace(t)
	o := run(t, dir, "train", "run", "-c", "tiny.toml", "-o", filepath.Join(disk, "out"))
	if o.code != 2 || !strings.Contains(o.stderr, "read-only file system") {
		t.Errorf("exit code %d, want 2 and the cause:\n%s", o.code, o.stderr)
	}
	o.clean(t)
}

func lastModel(t *testing.T, run string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(run, "checkpoints", "step-000020", "model.npz"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFullDiskCompression: a disk that fills up during a compression ends it with the file and the cause; with room the
// same command goes on and ends with the bytes of an undisturbed one.
func TestFullDiskCompression(t *testing.T) {
	disk := smallDisk(t, "size=200k")
	dir := workplace(t)
	out := filepath.Join(disk, "small")
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out")
	write(t, dir, "c.toml", "name = \"small\"\n[compress]\nfrom = \"out\"\nmethod = \"svd\"\nallocation = \"uniform\"\nratio = 0.5\n")
	args := []string{"run", "-c", "c.toml", "-o", out}
	o := run(t, dir, "compress", args...)
	if o.code != 1 {
		t.Fatalf("exit code %d, want 1\n%s", o.code, o.stderr)
	}
	o.clean(t)
	if !strings.Contains(o.stderr, "no space left on device") || !strings.Contains(o.stderr, out) {
		t.Errorf("the message lacks cause or place:\n%s", o.stderr)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=20m"); err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "compress", args...)
	mustRun(t, dir, "compress", "run", "-c", "c.toml", "-o", "whole")
	weights := filepath.Join("checkpoints", "step-000000", "model.npz")
	got, err := os.ReadFile(filepath.Join(out, weights))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(dir, "whole", weights))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("the continued compression ended with other weights than an undisturbed one")
	}
}
