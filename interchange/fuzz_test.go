package interchange_test

import (
	"archive/zip"
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"sparrow/interchange"
)

// FuzzGGUF: no file makes the import of a GGUF panic: its config, its tokenizer and its names are a stranger's.
func FuzzGGUF(f *testing.F) {
	for _, name := range []string{"llama", "qwen2", "qwen3", "gpt2"} {
		s, err := interchange.Open(filepath.Join("testdata/models", name), interchange.Options{})
		if err != nil {
			f.Fatal(err)
		}
		m, err := s.Model()
		if err != nil {
			f.Fatal(err)
		}
		arrays, err := m.Arrays(nil)
		if err != nil {
			f.Fatal(err)
		}
		out := interchange.Checkpoint{Network: m.Network, Dims: m.Dims, Files: map[string][]byte{"tokenizer.json": pieceTokenizer(f, m.Dims.VocabSize)}}
		places := map[string]int{}
		for i, a := range arrays {
			out.Names, places[a.Name] = append(out.Names, a.Name), i
		}
		out.Shape = func(name string) []int { return arrays[places[name]].Shape }
		out.Values = func(name string) []float32 { return arrays[places[name]].Data.([]float32) }
		path := filepath.Join(f.TempDir(), "x.gguf")
		if err := interchange.Export(out, "gguf", path, "Q8_0"); err != nil {
			f.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
		if err := s.Close(); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := interchange.Open(path, interchange.Options{})
		if err != nil {
			return
		}
		defer s.Close()
		if m, err := s.Model(); err == nil {
			_, _ = m.Arrays(nil)
		}
	})
}

// small are files of a folder beside weights and config, each of which a stranger may have written.
var small = []string{
	"tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json", "modules.json",
	"1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json", "chat_template.jinja",
	"model.safetensors.index.json", "vocab.txt",
}

// FuzzFolder: no content of a file beside the weights makes the import of a folder panic or hang.
func FuzzFolder(f *testing.F) {
	base := map[string][]byte{}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json"} {
		text, err := os.ReadFile(filepath.Join("testdata/models/bert", name))
		if err != nil {
			f.Fatal(err)
		}
		base[name] = text
	}
	for i, text := range []string{
		string(base["tokenizer.json"]), `{"do_lower_case": true, "chat_template": [{"name": "default", "template": "{{ a }}"}], "model_max_length": 12}`,
		`{"eos_token_id": [1, 2], "num_beams": 4, "typical_p": 0.5}`, `{"cls_token": "[CLS]"}`, `{"[X]": 39}`,
		`[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}, {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]`,
		`{"word_embedding_dimension": 16, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}`, `{"max_seq_length": 8, "do_lower_case": false}`,
		`{"prompts": {"query": "q: "}, "default_prompt_name": "query"}`, "{% for m in messages %}{{ m.content }}{% endfor %}",
		`{"weight_map": {"embeddings.word_embeddings.weight": "model.safetensors"}}`, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nw0\nw1",
	} {
		f.Add(byte(i), []byte(text))
	}
	f.Fuzz(func(t *testing.T, which byte, content []byte) {
		dir := t.TempDir()
		name := small[int(which)%len(small)]
		files := maps.Clone(base)
		switch name {
		case "vocab.txt":
			delete(files, "tokenizer.json")
		case "model.safetensors.index.json":
			files["part.safetensors"] = files["model.safetensors"]
			delete(files, "model.safetensors")
		case "1_Pooling/config.json":
			files["modules.json"] = []byte(`[{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]`)
		}
		files[name] = content
		for name, content := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := interchange.Open(dir, interchange.Options{})
		if err != nil {
			return
		}
		defer s.Close()
		_, _ = s.Model()
	})
}

// FuzzVocabulary: no vocab.json and merges.txt make the import panic or hang.
func FuzzVocabulary(f *testing.F) {
	base := map[string][]byte{}
	for _, name := range []string{"config.json", "model.safetensors"} {
		text, err := os.ReadFile(filepath.Join("testdata/models/gpt2", name))
		if err != nil {
			f.Fatal(err)
		}
		base[name] = text
	}
	f.Add([]byte(`{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}`), []byte("#version: 0.2\na b\n"))
	f.Add([]byte(`{"Ġ": 0}`), []byte(""))
	f.Fuzz(func(t *testing.T, vocab, merges []byte) {
		dir := t.TempDir()
		for name, content := range map[string][]byte{"config.json": base["config.json"], "model.safetensors": base["model.safetensors"], "vocab.json": vocab, "merges.txt": merges} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := interchange.Open(dir, interchange.Options{})
		if err != nil {
			return
		}
		defer s.Close()
		_, _ = s.Model()
	})
}

// FuzzArchive: no wheel or zip makes the import panic, write outside of its folder or leave one behind.
func FuzzArchive(f *testing.F) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		content, err := os.ReadFile(filepath.Join("testdata/models/llama", name))
		if err != nil {
			f.Fatal(err)
		}
		w, err := z.Create("package/model/" + name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		temp := filepath.Join(dir, "temp")
		if err := os.Mkdir(temp, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("TMPDIR", temp)
		path := filepath.Join(dir, "x.whl")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := interchange.Open(path, interchange.Options{}); err == nil {
			_, _ = s.Model()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if all, _ := os.ReadDir(dir); len(all) != 2 {
			t.Errorf("written beside: %v", all)
		}
	})
}
