package configs

import (
	"os"
	"strings"

	"github.com/BurntSushi/toml"
)

// Peek returns what a TOML file and overrides say at some keys, such as "train.init_from", as it is written and without a check.
// Keys that neither has are left out, and so are all of a file that cannot be read: who loads it says so.
func Peek(path string, set []string, keys ...string) map[string]any {
	found := map[string]any{}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxBytes {
		return found
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return found
	}
	var raw map[string]any
	if _, deep := tooDeep(path, string(text)); deep {
		return found
	}
	if _, err := toml.Decode(string(text), &raw); err != nil {
		return found
	}
	for _, key := range keys {
		var at any = raw
		ok := true
		for _, part := range strings.Split(key, ".") {
			table, _ := at.(map[string]any)
			if at, ok = table[part]; !ok {
				break
			}
		}
		if ok {
			found[key] = at
		}
	}
	for _, s := range set {
		if key, text, ok := splitOverride(s); ok {
			for _, want := range keys {
				if strings.Join(key, ".") == want {
					found[want] = strings.Trim(text, `"'`)
				}
			}
		}
	}
	return found
}
