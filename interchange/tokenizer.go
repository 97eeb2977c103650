package interchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"sparrow/checkpoints/foreign"
	"sparrow/checkpoints/gguf"
	"sparrow/checkpoints/llama2c"
)

// jsonMap is a piece of a tokenizer.json.
type jsonMap = map[string]any

// tokenizer is the content of tokenizer.json, which is made where the source has another form.
func (s *Source) tokenizer(m *Model) ([]byte, error) {
	if text, ok := s.files["tokenizer.json"]; ok {
		return text, nil
	}
	merges, vocab := s.files["merges.txt"], s.files["vocab.json"]
	switch {
	case merges != nil && vocab != nil:
		return byteLevelFiles(vocab, merges)
	case s.files["vocab.txt"] != nil:
		return s.wordPiece()
	}
	return nil, errNoTokenizer
}

// added is an entry of added_tokens.
func added(id int, content string, special bool) jsonMap {
	return jsonMap{"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": !special, "special": special}
}

// tokenizerFile is a tokenizer.json of these parts; nil leaves one out.
func tokenizerFile(addedTokens []jsonMap, normalizer, pre, post, decoder, model any) ([]byte, error) {
	if addedTokens == nil {
		addedTokens = []jsonMap{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(jsonMap{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": addedTokens, "normalizer": normalizer, "pre_tokenizer": pre,
		"post_processor": post, "decoder": decoder, "model": model,
	})
	return b.Bytes(), err
}

// Types of tokens in GGUF.
const (
	tokenNormal = 1 + iota
	tokenUnknown
	tokenControl
	tokenUser
	tokenUnused
	tokenByte
)

// ggufTokenizer makes a tokenizer.json of the tokenizer that a GGUF file carries.
func ggufTokenizer(md gguf.Metadata) ([]byte, error) {
	tokens, ok := md.Get("tokenizer.ggml.tokens").([]string)
	if !ok || len(tokens) == 0 {
		return nil, errors.New("the file carries none (tokenizer.ggml.tokens)")
	}
	types, err := tokenTypes(md, len(tokens))
	if err != nil {
		return nil, err
	}
	id := func(key string) int {
		n, ok := md.Int("tokenizer.ggml." + key)
		if !ok || n < 0 || n >= len(tokens) {
			return -1
		}
		return n
	}
	var begin any
	kind, _ := md.Text("tokenizer.ggml.model")
	addBOS, said := md.Bool("tokenizer.ggml.add_bos_token")
	if !said {
		addBOS = kind == "llama"
	}
	if bos := id("bos_token_id"); addBOS && bos >= 0 {
		begin = beginning(bos, tokens[bos])
	}
	switch kind {
	case "gpt2":
		merges, ok := md.Get("tokenizer.ggml.merges").([]string)
		if !ok {
			return nil, errors.New("the file has no tokenizer.ggml.merges")
		}
		pre, _ := md.Text("tokenizer.ggml.pre")
		return byteLevel(tokens, types, merges, pre, begin)
	case "llama":
		scores, ok := md.Get("tokenizer.ggml.scores").([]float32)
		if !ok || len(scores) != len(tokens) {
			return nil, errors.New("the file has no score for each token (tokenizer.ggml.scores)")
		}
		prefix, said := md.Bool("tokenizer.ggml.add_space_prefix")
		return pieces(tokens, types, scores, id("unknown_token_id"), prefix || !said, begin)
	}
	return nil, fmt.Errorf("tokenizer.ggml.model = %s is not supported; want gpt2 or llama", foreign.Quote(kind))
}

// tokenTypes are those of all tokens.
func tokenTypes(md gguf.Metadata, n int) ([]int32, error) {
	switch types := md.Get("tokenizer.ggml.token_type").(type) {
	case nil:
		return slices.Repeat([]int32{tokenNormal}, n), nil
	case []int32:
		if len(types) == n {
			return types, nil
		}
	}
	return nil, errors.New("tokenizer.ggml.token_type does not have a number for each token")
}

// beginning is the post-processor that puts a token before a text.
func beginning(id int, token string) jsonMap {
	special := jsonMap{"SpecialToken": jsonMap{"id": token, "type_id": 0}}
	text := func(name string, kind int) jsonMap { return jsonMap{"Sequence": jsonMap{"id": name, "type_id": kind}} }
	return jsonMap{
		"type": "TemplateProcessing", "single": []any{special, text("A", 0)},
		"pair":           []any{special, text("A", 0), jsonMap{"SpecialToken": jsonMap{"id": token, "type_id": 1}}, text("B", 1)},
		"special_tokens": jsonMap{token: jsonMap{"id": token, "ids": []int{id}, "tokens": []string{token}}},
	}
}

// Patterns by which byte-level models cut text into words, by llama.cpp's names.
const (
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// cutting is the pre-tokenizer of a name of llama.cpp.
func cutting(name string) (pre, normalizer any, whole bool, err error) {
	bytesOf := func(regex bool) jsonMap {
		return jsonMap{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex}
	}
	split := func(pattern string) jsonMap {
		return jsonMap{"type": "Sequence", "pretokenizers": []any{
			jsonMap{"type": "Split", "pattern": jsonMap{"Regex": pattern}, "behavior": "Isolated", "invert": false}, bytesOf(false),
		}}
	}
	switch name {
	case "", "default", "gpt2", "gpt-2":
		return bytesOf(true), nil, false, nil
	case "smollm":
		return jsonMap{"type": "Sequence", "pretokenizers": []any{jsonMap{"type": "Digits", "individual_digits": true}, bytesOf(true)}}, nil, false, nil
	case "llama-bpe", "llama3", "llama-v3":
		return split(llama3Pattern), nil, true, nil
	case "qwen2":
		return split(qwen2Pattern), jsonMap{"type": "NFC"}, false, nil
	}
	return nil, nil, false, fmt.Errorf("tokenizer.ggml.pre = %s is not supported; want gpt-2, smollm, llama-bpe or qwen2", foreign.Quote(name))
}

// byteLevel is a byte-pair encoding as GPT-2 has it.
func byteLevel(tokens []string, types []int32, merges []string, pre string, begin any) ([]byte, error) {
	cuts, normalizer, whole, err := cutting(pre)
	if err != nil {
		return nil, err
	}
	vocab := make(map[string]int, len(tokens))
	var special []jsonMap
	for i, t := range tokens {
		if _, twice := vocab[t]; twice {
			return nil, fmt.Errorf("token %s is there twice", foreign.Quote(t))
		}
		switch vocab[t] = i; types[i] {
		case tokenControl, tokenUnknown:
			special = append(special, added(i, t, true))
		case tokenUser:
			special = append(special, added(i, t, false))
		}
	}
	decoder := jsonMap{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}
	return tokenizerFile(special, normalizer, cuts, begin, decoder, jsonMap{
		"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
		"fuse_unk": false, "byte_fallback": false, "ignore_merges": whole, "vocab": vocab, "merges": merges,
	})
}

// byteLevelFiles is that of vocab.json and merges.txt.
func byteLevelFiles(vocab, merges []byte) ([]byte, error) {
	var ids map[string]int
	if err := json.Unmarshal(vocab, &ids); err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	tokens := make([]string, len(ids))
	for t, id := range ids {
		if id < 0 || id >= len(tokens) || tokens[id] != "" {
			return nil, fmt.Errorf("vocab.json: token %s has id %d; want 0 to %d, each once", foreign.Quote(t), id, len(tokens)-1)
		}
		tokens[id] = t
	}
	types := slices.Repeat([]int32{tokenNormal}, len(tokens))
	for i, t := range tokens {
		if t == "<|endoftext|>" {
			types[i] = tokenControl
		}
	}
	var list []string
	for i, line := range strings.Split(strings.TrimSuffix(string(merges), "\n"), "\n") {
		if i > 0 || !strings.HasPrefix(line, "#version") {
			list = append(list, strings.TrimSuffix(line, "\r"))
		}
	}
	return byteLevel(tokens, types, list, "gpt-2", nil)
}

// pieces is a byte-pair encoding as SentencePiece has it: the pair of the best score is merged first.
func pieces(tokens []string, types []int32, scores []float32, unknown int, prefix bool, begin any) ([]byte, error) {
	vocab := make(map[string]int, len(tokens))
	var special []jsonMap
	for i, t := range tokens {
		if _, twice := vocab[t]; twice {
			return nil, fmt.Errorf("token %s is there twice", foreign.Quote(t))
		}
		switch vocab[t] = i; types[i] {
		case tokenControl, tokenUnknown:
			special = append(special, added(i, t, true))
		case tokenUser:
			special = append(special, added(i, t, false))
		}
	}
	var unknownToken any
	if unknown >= 0 {
		unknownToken = tokens[unknown]
	}
	space := jsonMap{"type": "Replace", "pattern": jsonMap{"String": " "}, "content": "▁"}
	steps := []any{space}
	decode := []any{
		jsonMap{"type": "Replace", "pattern": jsonMap{"String": "▁"}, "content": " "}, jsonMap{"type": "ByteFallback"}, jsonMap{"type": "Fuse"},
	}
	if prefix {
		steps = []any{jsonMap{"type": "Prepend", "prepend": "▁"}, space}
		decode = append(decode, jsonMap{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	return tokenizerFile(special, jsonMap{"type": "Sequence", "normalizers": steps}, nil, begin, jsonMap{"type": "Sequence", "decoders": decode}, jsonMap{
		"type": "BPE", "dropout": nil, "unk_token": unknownToken, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
		"fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "vocab": vocab, "merges": mergesOf(tokens, types, scores, vocab),
	})
}

// maxPiece bounds the tokens that merges are made of, in bytes: a piece of n has n - 1 places to be cut.
const maxPiece = 512

// mergesOf are the pairs that make tokens, the best score first, as transformers derives them from a SentencePiece model.
func mergesOf(tokens []string, types []int32, scores []float32, vocab map[string]int) []string {
	type merge struct {
		left, right string
		score       float32
	}
	var all []merge
	for i, t := range tokens {
		if types[i] != tokenNormal || len(t) > maxPiece {
			continue
		}
		first := len(all)
		for at := range t {
			left, right := t[:at], t[at:]
			_, l := vocab[left]
			_, r := vocab[right]
			if at > 0 && l && r {
				all = append(all, merge{left, right, scores[i]})
			}
		}
		sort.SliceStable(all[first:], func(a, b int) bool {
			x, y := all[first+a], all[first+b]
			if vocab[x.left] != vocab[y.left] {
				return vocab[x.left] < vocab[y.left]
			}
			return vocab[x.right] < vocab[y.right]
		})
	}
	sort.SliceStable(all, func(a, b int) bool {
		x, y := all[a], all[b]
		if x.score != y.score {
			return x.score > y.score
		}
		if n, m := utf8.RuneCountInString(x.left), utf8.RuneCountInString(y.left); n != m {
			return n > m
		}
		return utf8.RuneCountInString(x.right) > utf8.RuneCountInString(y.right)
	})
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = m.left + " " + m.right
	}
	return out
}

// llama2cTokenizer is that of a tok512.bin: ids 0 to 2 are unknown, begin and end, 3 to 258 the bytes.
func llama2cTokenizer(all []llama2c.Piece) ([]byte, error) {
	if len(all) < 3+256 {
		return nil, fmt.Errorf("has %d tokens; want at least the 259 of every such tokenizer", len(all))
	}
	tokens, types, scores := make([]string, len(all)), make([]int32, len(all)), make([]float32, len(all))
	for i, p := range all {
		tokens[i], types[i], scores[i] = strings.ReplaceAll(p.Text, " ", "▁"), tokenNormal, p.Score
		if !utf8.ValidString(p.Text) {
			return nil, fmt.Errorf("token %d is not UTF-8", i)
		}
		if i >= 3 && i < 259 {
			tokens[i], types[i] = fmt.Sprintf("<0x%02X>", i-3), tokenByte
		}
	}
	tokens[0], tokens[1], tokens[2] = "<unk>", "<s>", "</s>"
	types[0], types[1], types[2] = tokenUnknown, tokenControl, tokenControl
	return pieces(tokens, types, scores, 0, true, beginning(1, "<s>"))
}

// wordPiece is a tokenizer.json of BERT's vocab.txt, with the options of tokenizer_config.json.
func (s *Source) wordPiece() ([]byte, error) {
	r := &report{}
	c := newFields(nil)
	if text, ok := s.files["tokenizer_config.json"]; ok {
		var err error
		if c, err = parseFields("tokenizer_config.json", text); err != nil {
			return nil, err
		}
	}
	lower := c.flag(r, "do_lower_case", true)
	vocab := map[string]int{}
	for i, line := range strings.Split(strings.TrimSuffix(string(s.files["vocab.txt"]), "\n"), "\n") {
		token := strings.TrimSuffix(line, "\r")
		if _, twice := vocab[token]; twice {
			return nil, fmt.Errorf("vocab.txt:%d: token %s is there twice", i+1, foreign.Quote(token))
		}
		vocab[token] = i
	}
	var special []jsonMap
	ids := jsonMap{}
	for _, t := range []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} {
		id, ok := vocab[t]
		if !ok {
			return nil, fmt.Errorf("vocab.txt has no %s", t)
		}
		special = append(special, added(id, t, true))
		ids[t] = jsonMap{"id": t, "ids": []int{id}, "tokens": []string{t}}
	}
	part := func(kind, name string, segment int) jsonMap {
		return jsonMap{kind: jsonMap{"id": name, "type_id": segment}}
	}
	first := []any{part("SpecialToken", "[CLS]", 0), part("Sequence", "A", 0), part("SpecialToken", "[SEP]", 0)}
	post := jsonMap{
		"type": "TemplateProcessing", "single": first,
		"pair":           append(slices.Clone(first), part("Sequence", "B", 1), part("SpecialToken", "[SEP]", 1)),
		"special_tokens": jsonMap{"[CLS]": ids["[CLS]"], "[SEP]": ids["[SEP]"]},
	}
	normalizer := jsonMap{
		"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": c.flag(r, "tokenize_chinese_chars", true),
		"strip_accents": c.get("strip_accents"), "lowercase": lower,
	}
	text, err := tokenizerFile(special, normalizer, jsonMap{"type": "BertPreTokenizer"}, post, jsonMap{"type": "WordPiece", "prefix": "##", "cleanup": true},
		jsonMap{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab})
	return text, errors.Join(err, r.err("tokenizer_config.json"))
}
