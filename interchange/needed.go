package interchange

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Files of a model's folder by their form: shards of weights, and the configs of a sentence encoder's modules.
var (
	safeShard  = regexp.MustCompile(`^model-\d+-of-\d+\.safetensors$`)
	torchShard = regexp.MustCompile(`^pytorch_model-\d+-of-\d+\.bin$`)
	moduleFile = regexp.MustCompile(`^\d+_[A-Za-z]+/config\.json$`)
)

// Needed picks from the names of a folder's files those that [Open] reads, so that no others are fetched: of several forms of the
// weights the safer one. weights is the name of a .gguf that is to be opened in place of the folder, else "".
func Needed(names []string) (need []string, weights string, err error) {
	has := func(name string) bool { return slices.Contains(names, name) }
	for _, name := range names {
		if slices.Contains(kept, name) || moduleFile.MatchString(name) {
			need = append(need, name)
		}
	}
	for _, form := range []struct {
		whole, index string
		shard        *regexp.Regexp
	}{
		{"model.safetensors", "model.safetensors.index.json", safeShard},
		{"pytorch_model.bin", "pytorch_model.bin.index.json", torchShard},
	} {
		switch {
		case !has("config.json"):
		case has(form.whole):
			return append(need, form.whole), "", nil
		case has(form.index):
			need = append(need, form.index)
			for _, name := range names {
				if form.shard.MatchString(name) {
					need = append(need, name)
				}
			}
			return need, "", nil
		}
	}
	var ggufs []string
	for _, name := range names {
		if strings.EqualFold(path.Ext(name), ".gguf") {
			ggufs = append(ggufs, name)
		}
	}
	switch len(ggufs) {
	case 0:
		return nil, "", errors.New("holds no model that can be read: want config.json with model.safetensors or pytorch_model.bin, or a .gguf")
	case 1:
		return ggufs, ggufs[0], nil
	}
	shown := ggufs[:min(len(ggufs), maxLines)]
	return nil, "", fmt.Errorf("holds %d .gguf files; name one behind the name of the model, with a slash between them:\n  %s", len(ggufs), strings.Join(shown, "\n  "))
}
