package extend

import (
	"encoding/json"
	"fmt"

	"sparrow/data/tokenizers"
)

// renamed are the files of the extended checkpoint: the new tokenizer, and what the old checkpoint has of others, with the ids and
// the names of the new vocabulary.
func (x *Extended) renamed(before, after tokenizers.Tokenizer, from []int) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name := range x.parent.Task.Facts().Files {
		text, err := x.parent.Files.File(name)
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	to := map[int]int{}
	for id, old := range from {
		if old >= 0 {
			if _, known := to[old]; !known {
				to[old] = id
			}
		}
	}
	if text, ok := files["generation_config.json"]; ok {
		made, err := renameIDs(text, to)
		if err != nil {
			return nil, fmt.Errorf("extend: %s: generation_config.json: %w", x.parent.Dir, err)
		}
		files["generation_config.json"] = made
	}
	if text, ok := files["tokenizer_config.json"]; ok {
		// What it lists of added tokens the new tokenizer.json says itself.
		made, err := edited(text, func(fields map[string]any) { delete(fields, "added_tokens_decoder") })
		if err != nil {
			return nil, fmt.Errorf("extend: %s: tokenizer_config.json: %w", x.parent.Dir, err)
		}
		files["tokenizer_config.json"] = made
	}
	delete(files, "special_tokens_map.json") // by names, which the new vocabulary may not have
	files["tokenizer.json"] = after.Save()
	return files, nil
}

// renameIDs replaces the ids of keys such as eos_token_id; one that the new vocabulary lacks is left out.
func renameIDs(text []byte, to map[int]int) ([]byte, error) {
	one := func(x any) (int, bool) {
		old, ok := x.(float64)
		id, known := to[int(old)]
		return id, ok && known
	}
	return edited(text, func(fields map[string]any) {
		for _, key := range []string{"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"} {
			switch x := fields[key].(type) {
			case float64:
				if id, ok := one(x); ok {
					fields[key] = id
				} else {
					delete(fields, key)
				}
			case []any:
				ids := []int{}
				for _, e := range x {
					if id, ok := one(e); ok {
						ids = append(ids, id)
					}
				}
				if fields[key] = ids; len(ids) == 0 {
					delete(fields, key)
				}
			}
		}
	})
}

// edited is a JSON object after a change.
func edited(text []byte, change func(fields map[string]any)) ([]byte, error) {
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	change(fields)
	made, err := json.MarshalIndent(fields, "", "  ")
	return append(made, '\n'), err
}
