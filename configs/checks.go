package configs

import (
	"path"
	"slices"
	"strings"
)

// At is the report of the struct at key, for whoever validates what it does not own: the keys of its Errorf begin there.
func (r *Report) At(key string) *Report {
	return &Report{d: r.d, base: r.key(key)}
}

// OneOf reports a text at key that is none of choices; with no choices given, of those of its field's tag
// choices:"a|b". An empty choice allows the empty text, which the message does not offer.
func (r *Report) OneOf(key string, choices ...string) {
	f, ok := fieldAt(r.d.root, r.key(key))
	if len(choices) == 0 {
		choices = choicesOf(f)
	}
	if ok && !slices.Contains(choices, f.v.String()) {
		r.Errorf(key, "is unknown; want one of %s", strings.Join(offered(choices), ", "))
	}
}

// AtLeast reports a number at key that is less than low.
func (r *Report) AtLeast(key string, low float64) {
	v, ok := valueAt(r.d.root, r.key(key))
	var x float64
	switch {
	case !ok:
		return
	case v.CanInt():
		x = float64(v.Int())
	case v.CanUint():
		x = float64(v.Uint())
	case v.CanFloat():
		x = v.Float()
	}
	if !(x >= low) {
		r.Errorf(key, "is too small; want at least %v", low)
	}
}

// Within reports a value at key that is not ok, as out of the range want says: "more than 0 and less than 1".
func (r *Report) Within(key string, ok bool, want string) {
	if !ok {
		r.Errorf(key, "is out of range; want %s", want)
	}
}

// Only reports a value at key that is not ok for what the config has chosen: r.Only("mlp", ok, `kind = "encoder"`, "gelu").
func (r *Report) Only(key string, ok bool, what, want string) {
	if !ok {
		r.Errorf(key, "is not for %s; want %s", what, want)
	}
}

// FolderName reports a text at key that cannot be the name of a folder: of what, the message says.
func (r *Report) FolderName(key, what string) {
	f, ok := fieldAt(r.d.root, r.key(key))
	if name := f.v; ok && (name.String() == "" || strings.ContainsAny(name.String(), `/\`) || name.String()[0] == '.') {
		r.Errorf(key, "is no name for %s; want one without slashes that does not begin with a dot", what)
	}
}

// GlobPattern reports a text at key that path.Match cannot match with; like is a good one.
func (r *Report) GlobPattern(key, like string) {
	f, ok := fieldAt(r.d.root, r.key(key))
	if !ok {
		return
	}
	if _, err := path.Match(f.v.String(), ""); err != nil || f.v.String() == "" {
		r.Errorf(key, "is not a valid glob pattern; want one like %q", like)
	}
}

// choicesOf are the choices that a field's tag lists.
func choicesOf(f field) []string {
	if list, ok := f.tag.Lookup("choices"); ok {
		return strings.Split(list, "|")
	}
	return nil
}

// offered are the choices that a message names.
func offered(choices []string) []string {
	return slices.DeleteFunc(slices.Clone(choices), func(s string) bool { return s == "" })
}
