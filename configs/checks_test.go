package configs

import "testing"

type checked struct {
	Mode  string  `toml:"mode" choices:"fast|exact"`
	Axis  string  `toml:"axis" choices:"|in|out"`
	Steps int     `toml:"steps"`
	Count uint8   `toml:"count"`
	Name  string  `toml:"name"`
	Match string  `toml:"match"`
	Rate  float64 `toml:"rate"`
	Inner struct {
		Axis string `toml:"axis" choices:"in|out"`
	} `toml:"inner"`
}

func (c checked) Validate(r *Report) {
	r.OneOf("mode")
	r.OneOf("axis")
	r.AtLeast("steps", 1)
	r.AtLeast("count", 2)
	r.AtLeast("rate", 0.5)
	r.GlobPattern("match", "*.mlp.*")
	r.FolderName("name", "the run")
	r.Within("rate", c.Rate < 1, "less than 1")
	r.Only("steps", c.Mode != "exact" || c.Steps == 1, `mode = "exact"`, "1")
	r.At("inner").OneOf("axis")
	r.OneOf("inner.axis", "in", "out", "both")
	r.OneOf("missing", "a")
	r.AtLeast("missing", 1)
}

func TestChecks(t *testing.T) {
	for set, want := range map[string]string{
		"steps=1":         "",
		"axis=in":         "",
		"mode=slow":       `[checked] mode = "slow" is unknown; want one of fast, exact`,
		"axis=up":         `[checked] axis = "up" is unknown; want one of in, out`,
		"name=a.b":        "",
		"name=a/b":        `[checked] name = "a/b" is no name for the run; want one without slashes that does not begin with a dot`,
		"name=.a":         `[checked] name = ".a" is no name for the run; want one without slashes that does not begin with a dot`,
		"name=''":         `[checked] name = "" is no name for the run; want one without slashes that does not begin with a dot`,
		"match=a.*":       "",
		"match=[":         `[checked] match = "[" is not a valid glob pattern; want one like "*.mlp.*"`,
		"match=''":        `[checked] match = "" is not a valid glob pattern; want one like "*.mlp.*"`,
		"steps=0":         `[checked] steps = 0 is too small; want at least 1`,
		"count=1":         `[checked] count = 1 is too small; want at least 2`,
		"rate=0.25":       `[checked] rate = 0.25 is too small; want at least 0.5`,
		"rate=1":          `[checked] rate = 1.0 is out of range; want less than 1`,
		"inner.axis=both": `[checked.inner] axis = "both" is unknown; want one of in, out`,
	} {
		c := struct {
			Checked checked `toml:"checked"`
		}{checked{Mode: "fast", Steps: 2, Count: 2, Name: "a", Match: "*", Rate: 0.5}}
		c.Checked.Inner.Axis = "in"
		full := "checked." + set
		err := Decode("f.toml", nil, &c, Options{Set: []string{full}})
		if want != "" {
			want = "--set " + full + ": " + want
		}
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}

	c := checked{Mode: "exact", Steps: 2, Count: 2, Name: "a", Match: "*", Rate: 0.5}
	c.Inner.Axis = "in"
	const want = `x: steps = 2 is not for mode = "exact"; want 1`
	if err := Validate("x", &c); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
