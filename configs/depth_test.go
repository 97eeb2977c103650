package configs

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestDepth: a document made to nest deeply is refused at its line before it is parsed, one of ordinary depth is not.
func TestDepth(t *testing.T) {
	const n = 10000
	type config struct {
		X string `toml:"x"`
	}
	for _, c := range []struct {
		name, text string
		line       int // 0: no such problem
	}{
		{"a dotted key", "x = 'y'\n" + strings.Repeat("a.", n) + "a = 1", 2},
		{"a table", "\n\n[" + strings.Repeat("a.", n) + "a]", 3},
		{"an array of tables", "[[" + strings.Repeat("a.", n) + "a]]", 1},
		{"quoted parts", strings.Repeat("'a'.", n) + "a = 1", 1},
		{"arrays", "a = " + strings.Repeat("[", n) + strings.Repeat("]", n), 1},
		{"arrays over lines", "a = " + strings.Repeat("[\n", n), maxDepth + 1},
		{"inline tables", "a = " + strings.Repeat("{a=", n), 1},
		{"inline tables with dotted keys", "a = " + strings.Repeat("{a.a.a.a=", n), 1},
		{"arrays and tables", "a = " + strings.Repeat("[{a=", n), 1},
		{"as deep as it may be", "a = " + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), 0},
		{"brackets in strings", "x = '" + strings.Repeat("[", n) + "'\n# " + strings.Repeat("{", n), 0},
		{"brackets in a long string", `x = """` + strings.Repeat("[\n", 100) + `"""`, 0},
		{"dots in strings", `x = "` + strings.Repeat("a.", n) + `"`, 0},
		{"many numbers", "a = [" + strings.Repeat("1.5, ", n) + "]", 0},
		{"many numbers over lines", "a = [" + strings.Repeat("1.5,\n", n) + "]", 0},
		{"many tables", strings.Repeat("[[a.b]]\nc.d = {e = 1.5}\n", 1000), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			err := Decode("a.toml", []byte(c.text), &config{}, Options{})
			var problems Problems
			errors.As(err, &problems)
			refused := len(problems) == 1 && strings.Contains(problems[0].Message, "deeper in each other than")
			if refused != (c.line > 0) || refused && problems[0].Line != c.line {
				t.Errorf("Decode = %.300v; want the depth refused at line %d (0: not at all)", err, c.line)
			}
			if c.line > 0 && time.Since(began) > time.Second {
				t.Errorf("it took %v", time.Since(began))
			}
		})
	}
}

// TestDepthOfOverride: the value of an override is bounded in the same way, and is then not TOML.
func TestDepthOfOverride(t *testing.T) {
	type config struct {
		X []int `toml:"x"`
	}
	began := time.Now()
	err := Decode("a.toml", nil, &config{}, Options{Set: []string{"x=" + strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("a.", 10000) + "a=1"}})
	if !errors.Is(err, ErrConfig) || time.Since(began) > time.Second {
		t.Errorf("Decode = %.300v after %v; want ErrConfig at once", err, time.Since(began))
	}
}

// TestShortProblems: no line of a problem repeats more than 200 characters of what the user wrote.
func TestShortProblems(t *testing.T) {
	type config struct {
		X int `toml:"x"`
	}
	long := strings.Repeat("ä", 5000)
	for _, c := range []struct{ name, text, set string }{
		{"a key", "'" + long + "' = 1", ""},
		{"a key with spaces", "'" + strings.Repeat("a b ", 5000) + "' = 1", ""},
		{"a table", "['" + long + "']", ""},
		{"a bare key", strings.Repeat("a", 5000) + " = 1", ""},
		{"a value", "x = '" + long + "'", ""},
		{"not TOML", long, ""},
		{"not TOML in a bare key", strings.Repeat("a", 5000) + "=", ""},
		{"a bad number", "x = " + strings.Repeat("9", 5000), ""},
		{"an override", "", "x=" + long},
		{"an override's key", "", long + "=1"},
		{"no override", "", long},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{}
			if c.set != "" {
				o.Set = []string{c.set}
			}
			err := Decode("a.toml", []byte(c.text), &config{}, o)
			if !errors.Is(err, ErrConfig) {
				t.Fatalf("Decode = %.300v, want ErrConfig", err)
			}
			if n := len([]rune(err.Error())); n > 700 {
				t.Errorf("%d characters: %.300v", n, err)
			}
		})
	}
}
