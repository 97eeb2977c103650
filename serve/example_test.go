package serve_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"sparrow/model"
	"sparrow/saved"
	"sparrow/serve"
)

// A Go service mounts the handler where it likes. The model here is a tiny one that knows the words w0 to w33.
func ExampleHandler() {
	m, err := saved.Open("../testdata/writer", false, model.Options{Packed: true})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	h, err := serve.Handler(serve.Model{Name: "writer", Model: m})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/llm/", http.StripPrefix("/llm", h))
	service := httptest.NewServer(mux) // in a service: http.ListenAndServe
	defer service.Close()

	r, err := http.Post(service.URL+"/llm/v1/completions", "application/json",
		strings.NewReader(`{"model": "writer", "prompt": "w12 w2", "max_tokens": 5, "temperature": 0}`))
	if err != nil {
		log.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		log.Fatal(err)
	}
	_, choices, _ := strings.Cut(string(text), `"choices":`)
	fmt.Println(r.Status)
	fmt.Println(choices)
	// Output:
	// 200 OK
	// [{"index":0,"text":"w6 w29 w18 w15 w4","logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":5,"total_tokens":7}}
}
