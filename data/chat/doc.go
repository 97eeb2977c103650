// Package chat renders conversations by the chat template of a model: Jinja, as Hugging Face's transformers renders it.
// A template comes with a stranger's model, so what could run away in it is refused before it is compiled. The package
// knows no model and no tokenizer.
//
//	template, err := chat.Parse(source)
//	text, err := template.Render(chat.Conversation{
//		Messages: []chat.Message{{Role: "user", Content: "Hello"}}, AddGenerationPrompt: true, Tokens: chat.Tokens{BOS: "<s>", EOS: "</s>"},
//	})
package chat
