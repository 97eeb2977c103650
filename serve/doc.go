// Package serve answers requests in the manner of OpenAI's HTTP interface: completions and chat with continuous batching over
// the slots of [decode.Loop], embeddings, classes of texts and the ranking of documents.
//
//	m, err := saved.Open("models/smollm2", false, model.Options{Packed: true})
//	s, err := serve.New(serve.Options{}, serve.Model{Name: "smollm2", Model: m})
//	http.Handle("/llm/", http.StripPrefix("/llm", s))
//
// A request has the tokens that it has alone, to the last bit, whatever runs beside it. What is asked for and cannot be done
// is an error with the name of the field; nothing is left out silently.
package serve
