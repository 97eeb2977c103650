package task

// optional are files that tell how an imported model is used. A checkpoint without them is complete.
// extension.json is of one with another vocabulary.
var optional = []string{"extension.json", "generation_config.json", "chat_template.jinja", "tokenizer_config.json", "special_tokens_map.json", "config_sentence_transformers.json"}

// Kept adds what a checkpoint keeps of an imported model to the files of a task.
func Kept(files Files, own map[string][]byte) map[string][]byte {
	if files == nil {
		return own
	}
	for _, name := range optional {
		if text, err := files.File(name); err == nil {
			own[name] = text
		}
	}
	return own
}

// NoData says that a model from elsewhere brings no data, and what helps: a file of that kind.
func NoData(file string) error {
	return Refusef("[data] source is empty: the model comes from elsewhere and has no data of its own: measure it on a file with %s by --file, or compress it with a table [compress.data]", file)
}
