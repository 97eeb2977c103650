package tokenizers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sparrow/data"
)

// bertSpecials are the special tokens of BERT, in the order in which a trained vocabulary begins with them.
var bertSpecials = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

// bertMaxRunes is the length from which BERT takes a word for unknown.
const bertMaxRunes = 100

// parseBERTVocab reads a vocab.txt: one token a line, whose id is the number of the line from 0. Ids of text equal those
// of Hugging Face's BertTokenizer(vocab_file, do_lower_case=lowercase); it strips accents if it lowers case.
func parseBERTVocab(content []byte, lowercase bool) (*WordPiece, error) {
	if at := data.InvalidUTF8(string(content)); at >= 0 {
		return nil, fmt.Errorf("not valid UTF-8 at byte %d (0x%02x)", at, content[at])
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	first := make(map[string]int, len(lines))
	for i, token := range lines {
		if token == "" {
			return nil, fmt.Errorf("line %d is empty, want a token", i+1)
		}
		if before, twice := first[token]; twice {
			return nil, fmt.Errorf("line %d has token %q again, which line %d has", i+1, token, before+1)
		}
		first[token] = i
	}
	for _, needed := range []string{"[UNK]", "[CLS]", "[SEP]"} {
		if _, ok := first[needed]; !ok {
			return nil, fmt.Errorf("no token %s in %d lines; want the vocab.txt of a BERT", needed, len(lines))
		}
	}
	return parseWordPiece(bertFile(lines, lowercase))
}

// bertFile returns the tokenizer.json of a BERT with these tokens, as Hugging Face's BertTokenizerFast saves it.
func bertFile(tokens []string, lowercase bool) []byte {
	type object = map[string]any
	vocab := make(map[string]int, len(tokens)) // encoding/json sorts keys
	for id, token := range tokens {
		vocab[token] = id
	}
	added := []object{}
	for id, token := range tokens {
		if slices.Contains(bertSpecials, token) {
			added = append(added, object{"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
				"normalized": false, "special": true})
		}
	}
	piece := func(kind, name string, typeID int) object { return object{kind: object{"id": name, "type_id": typeID}} }
	single := []object{piece("SpecialToken", "[CLS]", 0), piece("Sequence", "A", 0), piece("SpecialToken", "[SEP]", 0)}
	named := func(name string) object {
		return object{"id": name, "ids": []int{vocab[name]}, "tokens": []string{name}}
	}
	content, err := json.Marshal(object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil,
			"lowercase": lowercase},
		"pre_tokenizer": object{"type": "BertPreTokenizer"},
		"post_processor": object{"type": "TemplateProcessing", "single": single,
			"pair":           append(single[:3:3], piece("Sequence", "B", 1), piece("SpecialToken", "[SEP]", 1)),
			"special_tokens": object{"[CLS]": named("[CLS]"), "[SEP]": named("[SEP]")}},
		"decoder": object{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model": object{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
			"max_input_chars_per_word": bertMaxRunes, "vocab": vocab},
	})
	if err != nil {
		panic(err) // strings, numbers and maps of them always marshal
	}
	return append(content, '\n')
}
