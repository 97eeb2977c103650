package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"

	"sparrow/internal/measure"
)

// draftTokens are written to each beginning.
const draftTokens = 96

// beginnings are what texts of several sorts go on from.
var beginnings = []string{
	"The history of the city begins in the year", "To make bread you need flour, water,", "def add(a, b):\n    ", "Dear Sir or Madam,\n\nI am writing to",
}

// serveDraft measures how many times faster one request is with a draft: the one that is given, else the model itself in 8 and in 4
// bits. Ours is the ratio, the higher the better.
func (b *bench) serveDraft(name string) error {
	if b.models.writer == "" {
		return errors.New("bench: serve-draft wants --model: a folder of Hugging Face's kind, or a GGUF file, of a model that writes")
	}
	dir, program, done, err := buildModel()
	if err != nil {
		return err
	}
	defer done()
	plain := filepath.Join(dir, "plain")
	if err := run(program, "import", b.models.writer, "-o", plain); err != nil {
		return err
	}
	drafts := map[string]string{"given": b.models.draft}
	names := []string{"given"}
	if b.models.draft == "" {
		names = []string{"int8", "int4"}
		for _, dtype := range names {
			drafts[dtype] = filepath.Join(dir, dtype)
			if err := run(program, "import", b.models.writer, "-o", drafts[dtype], "--dtype", dtype); err != nil {
				return err
			}
		}
	}
	for _, draft := range names {
		if err := b.serveDraftBy(name+"/"+draft, program, plain, drafts[draft]); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) serveDraftBy(name, program, checkpoint, draft string) error {
	var sides [2]*server
	for i := range sides {
		args := []string{"m=" + checkpoint, "--threads", fmt.Sprint(b.threads), "--slots", "1", "--prefix-mb", "0"}
		if i == 1 {
			args = append(args, "--draft", draft)
		}
		s, err := startServer(program, args...)
		if err != nil {
			return err
		}
		defer s.end()
		sides[i] = s
	}
	var seconds [2][]float64
	for round := range b.rounds + 1 {
		for _, text := range beginnings {
			for i, s := range sides {
				took, err := s.whole(text, draftTokens)
				if err != nil {
					return err
				}
				if round > 0 {
					seconds[i] = append(seconds[i], took)
				}
			}
		}
	}
	made, err := sides[1].metric("sparrow_guesses_total")
	if err != nil {
		return err
	}
	right, err := sides[1].metric("sparrow_guesses_right_total")
	if err != nil {
		return err
	}
	without, with := measure.Median(seconds[0]), measure.Median(seconds[1])
	b.emit(result{Name: name, Threads: b.threads, Ours: without / with, InstructionSet: b.ours.isa, Unit: "x",
		Note: fmt.Sprintf("time of a request without a draft over that with it: higher is better; %.1f%% of the guesses are right", 100*right/max(made, 1))})
	return nil
}

// metric is the value of a counter of the model.
func (s *server) metric(name string) (float64, error) {
	r, err := http.Get(s.url + "/metrics")
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^` + name + `(?:{model="m"})? (\S+)$`).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("bench: the server counts no %s", name)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
