package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// mutator chooses changes.
type mutator struct{ *rand.Rand }

// newMutator is that of the n-th trial of a seed.
func newMutator(seed, n uint64) mutator { return mutator{rand.New(rand.NewPCG(seed, n))} }

func pick[T any](m mutator, of []T) T { return of[m.IntN(len(of))] }

// extremes are what programs trip over, as TOML and JSON write them.
var extremes = []string{
	"0", "-1", "1", "2", "3", "7", "255", "65536", "1000000", "2147483647", "-2147483648", "4294967296", "9223372036854775807", "-9223372036854775808",
	"0.0", "-0.5", "0.5", "1e-320", "1e300", "1e999", "true", "false", `""`, `"x"`, `"../../etc/passwd"`, `"/dev/zero"`, `"a\u0000b"`, "[]", "[1]", "[[]]",
}

// tomlOnly are values that JSON does not have.
var tomlOnly = []string{"nan", "inf", "-inf", "{}", "1979-05-27", `"""` + "\n" + `"""`, "0x7fffffffffffffff"}

// bytes changes a file whose format it does not know.
func (m mutator) bytes(text []byte) ([]byte, string) {
	text = slices.Clone(text)
	at := m.IntN(len(text) + 1)
	switch m.IntN(7) {
	case 0:
		return text[:at], fmt.Sprintf("cut at %d", at)
	case 1:
		n := 1 << m.IntN(12)
		return slices.Insert(text, at, bytes.Repeat([]byte{byte(m.IntN(256))}, n)...), fmt.Sprintf("%d bytes more at %d", n, at)
	case 2:
		end := min(len(text), at+1+m.IntN(64))
		return slices.Delete(text, at, end), fmt.Sprintf("bytes %d to %d gone", at, end)
	case 3:
		n := 10_000
		nest := pick(m, []string{"[", "{\"a\":", "(", "<", "a.", "{", "\\", "\"", "\n", "\t\t\t"})
		return slices.Insert(text, at, []byte(strings.Repeat(nest, n))...), fmt.Sprintf("%q %d times at %d", nest, n, at)
	case 4:
		return nil, "emptied"
	default:
		flips := 1 << m.IntN(5)
		for range flips {
			if len(text) > 0 {
				text[m.IntN(len(text))] ^= 1 << m.IntN(8)
			}
		}
		return text, fmt.Sprintf("%d bits turned over", flips)
	}
}

// toml changes a value, a key or a line.
func (m mutator) toml(text []byte) ([]byte, string) {
	lines := strings.Split(string(text), "\n")
	var keys []int
	for i, line := range lines {
		if strings.Contains(line, " = ") && !strings.HasPrefix(line, "#") {
			keys = append(keys, i)
		}
	}
	if len(keys) == 0 || m.IntN(12) == 0 {
		return m.bytes(text)
	}
	at := pick(m, keys)
	key, value, _ := strings.Cut(lines[at], " = ")
	var change string
	switch m.IntN(8) {
	case 0:
		lines = slices.Delete(lines, at, at+1)
		change = key + " gone"
	case 1:
		lines = slices.Insert(lines, at, lines[at])
		change = key + " twice"
	case 2:
		other := lines[pick(m, keys)]
		_, v, _ := strings.Cut(other, " = ")
		lines[at] = key + " = " + v
		change = lines[at]
	case 3:
		lines[at] = key + "x = " + value
		change = lines[at]
	default:
		lines[at] = key + " = " + pick(m, append(slices.Clone(extremes), tomlOnly...))
		change = lines[at]
	}
	return []byte(strings.Join(lines, "\n")), change
}

// json changes a value anywhere in a JSON document.
func (m mutator) json(text []byte) ([]byte, string) {
	if m.IntN(10) == 0 {
		return m.bytes(text)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var root any
	if err := d.Decode(&root); err != nil {
		return m.bytes(text)
	}
	var places []func() string // each changes the document
	collect(m, "", root, func(v any) { root = v }, &places)
	change := pick(m, places)()
	out, err := json.Marshal(root)
	if err != nil {
		return m.bytes(text)
	}
	return append(out, '\n'), change
}

// collect lists a change for every value below v; set puts another in its place.
func collect(m mutator, path string, v any, set func(any), places *[]func() string) {
	*places = append(*places, func() string {
		text := pick(m, extremes)
		if text == "1e999" { // JSON has such numbers; Go's encoder writes them as they are
			set(json.Number(text))
			return path + " = " + text
		}
		var other any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&other); err != nil {
			other = nil
		}
		set(other)
		return path + " = " + text
	})
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			collect(m, path+"."+k, v[k], func(x any) { v[k] = x }, places)
			*places = append(*places, func() string { delete(v, k); return path + "." + k + " gone" })
		}
		*places = append(*places, func() string { v["unheard_of"] = json.Number("1"); return path + ".unheard_of more" })
	case []any:
		step := max(1, len(v)/8) // of a long list some stand for all
		for i := 0; i < len(v); i += step {
			collect(m, fmt.Sprintf("%s[%d]", path, i), v[i], func(x any) { v[i] = x }, places)
		}
		*places = append(*places, func() string { set(append(slices.Clone(v), v...)); return path + " doubled" })
		*places = append(*places, func() string { set(v[:len(v)/2]); return path + " halved" })
	}
}

// oddFloats are what weights may hold and should not, or may and hurt.
var oddFloats = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -math.MaxFloat32, 1e30, 1e-45, 0}
