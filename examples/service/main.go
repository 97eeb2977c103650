// Command service answers POST /predict {"texts": [...]} with the labels of the texts.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"

	"sparrow"
)

func main() {
	m, err := sparrow.Open(context.Background(), os.Args[1], sparrow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	http.HandleFunc("POST /predict", func(w http.ResponseWriter, r *http.Request) {
		var question struct{ Texts []string }
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&question); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		inputs := make([]sparrow.Input, len(question.Texts))
		for i, text := range question.Texts {
			inputs[i] = sparrow.Text(text)
		}
		answer, err := m.Predict(r.Context(), inputs...)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	log.Fatal(http.ListenAndServe(os.Args[2], nil))
}
