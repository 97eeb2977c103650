package configs

import (
	"strings"
	"testing"
)

// loop is a config whose keys other tools call otherwise.
type loop struct {
	Rate  float64 `toml:"rate" also:"lr|step_size" doc:"how fast" unit:"steps"`
	Kind  string  `toml:"kind" doc:"which" choices:"slow|fast"`
	Inner struct {
		Width int `toml:"width" also:"dim" doc:"how wide"`
	} `toml:"inner"`
	None *struct{} `toml:"none"`
}

// TestOutline: what is chosen is set, the rest is a comment, each with its meaning.
func TestOutline(t *testing.T) {
	l := loop{Rate: 2, Kind: "slow"}
	got, err := Outline(&l, map[string]bool{"kind": true, "inner.width": true})
	want := "# rate = 2.0   # how fast, in steps\nkind = \"slow\"  # which: slow, fast\n\n[inner]\nwidth = 0  # how wide\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	if _, err := Outline(3, nil); err == nil {
		t.Error("an outline of a number")
	}
}

// TestEncodeBut: keys that are left out, and nothing else, are missing.
func TestEncodeBut(t *testing.T) {
	l := loop{Rate: 2, Kind: "slow"}
	got, err := EncodeBut(&l, map[string]bool{"rate": true, "inner.width": true})
	if want := "kind = \"slow\"\n\n[inner]\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// TestAlsoNamed: keys are met by the names that other tools have for them, wherever they stand.
func TestAlsoNamed(t *testing.T) {
	for text, want := range map[string]string{
		"lr = 1":           `a.toml:1: unknown key "lr"; here it is called rate`,
		"dim = 1":          `a.toml:1: unknown key "dim"; here it is called [inner] width`,
		"[inner]\ndim = 1": `a.toml:2: unknown key "dim" in [inner]; here it is called [inner] width`,
		"rat = 1":          `a.toml:1: unknown key "rat"; did you mean "rate"?`,
	} {
		var l loop
		if err := Decode("a.toml", []byte(text), &l, Options{}); err == nil || strings.TrimSpace(err.Error()) != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
