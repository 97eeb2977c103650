package checkpoints

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestFullDisk(t *testing.T) {
	run := t.TempDir()
	if err := syscall.Mount("tmpfs", run, "tmpfs", 0, "size=700k"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(run, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := Write(StepDir(run, 1), killContents(1)); err != nil { // 400 kB: a second one does not fit
		t.Fatal(err)
	}
	for _, step := range []int{2, 1} {
		err := Write(StepDir(run, step), killContents(step))
		if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, ErrCheckpoint) {
			t.Fatalf("Write of step %d = %v, want ENOSPC", step, err)
		}
		want := StepDir(run, step) + "/model.npz: no space left on device: the checkpoint was not written, " +
			"the ones before it are untouched; free some disk space"
		if err.Error() != want {
			t.Errorf("Write = %v\nwant %s", err, want)
		}
	}
	if got := steps(t, run); got != "step-000001" {
		t.Errorf("List = %s, want step-000001", got)
	}
	c, err := Open(StepDir(run, 1))
	if err == nil {
		_, err = c.Arrays("model.npz")
	}
	if err != nil {
		t.Errorf("the checkpoint before: %v", err)
	}
	if entries, _ := os.ReadDir(run + "/checkpoints"); len(entries) != 1 {
		t.Errorf("left %v", entries)
	}
	err = WriteFileAtomic(run+"/big", make([]byte, 1<<20))
	if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), run+"/big: no space left") {
		t.Errorf("WriteFileAtomic = %v", err)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	run := t.TempDir()
	if err := syscall.Mount("tmpfs", run, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount a disk: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(run, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	mustWrite(t, StepDir(run, 1), killContents(1))
	if err := syscall.Mount("tmpfs", run, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot make the disk read-only: %v", err)
	}
	err := Write(StepDir(run, 2), killContents(2))
	want := run + "/checkpoints/.tmp-step-000002: read-only file system: no checkpoint can be written there"
	if err == nil || err.Error() != want {
		t.Errorf("Write = %v, want %s", err, want)
	}
	if got := steps(t, run); got != "step-000001" {
		t.Errorf("List = %s, want step-000001", got)
	}
}
