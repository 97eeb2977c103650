package shell

import (
	"os/exec"
	"testing"
)

// TestQuote: a POSIX shell reads back each argument as it was.
func TestQuote(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no POSIX shell")
	}
	for _, arg := range []string{"runs/tiny", "", "a b", "it's", `a"b\c`, "$HOME", "`ls`", "*", "~", "--x=1", "é", "a\nb", "#1", "!x", ";"} {
		out, err := exec.Command(sh, "-c", "printf %s "+Quote(arg)).CombinedOutput()
		if err != nil || string(out) != arg {
			t.Errorf("Quote(%q) = %s, which a shell reads as %q (%v)", arg, Quote(arg), out, err)
		}
	}
	for _, plain := range []string{"runs/tiny", "train.steps=3", "C:/runs/a-b_c"} {
		if Quote(plain) != plain {
			t.Errorf("Quote(%q) = %s, want it as it is", plain, Quote(plain))
		}
	}
}
