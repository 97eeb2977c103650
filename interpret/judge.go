package interpret

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sparrow/task"
)

// Judge is a language model behind an endpoint of OpenAI's kind.
type Judge struct {
	URL   string // up to /v1
	Model string // by name
}

// judgeAnswer is how many bytes of an answer are read.
const judgeAnswer = 1 << 20

// Describe asks a judge what the contexts of each feature have in common, as the paper does, and writes the folder with the answers.
// after is told of features done.
func (f *Folder) Describe(ctx context.Context, j Judge, after func(done, total int)) error {
	if !strings.HasPrefix(j.URL, "http://") && !strings.HasPrefix(j.URL, "https://") {
		return task.Refusef("judge %q; want a URL such as http://127.0.0.1:8080/v1", j.URL)
	}
	done, total := 0, 0
	for _, s := range f.Sets {
		total += len(s.Features)
	}
	for _, s := range f.Sets {
		for i := range s.Features {
			x := &s.Features[i]
			if len(x.Contexts) > 0 {
				answer, err := j.ask(ctx, x.question())
				if err != nil {
					return fmt.Errorf("feature %d of layer %d: %w", i, s.Layer, err)
				}
				x.Description = answer
			}
			done++
			after(done, total)
		}
	}
	return f.rewrite()
}

// question shows the contexts with their strongest tokens marked.
func (x Feature) question() string {
	var b strings.Builder
	b.WriteString("These texts make one feature of a language model strong. The tokens at which it is strongest stand in [[ ]].\n")
	for _, c := range x.Contexts {
		b.WriteString("\n- ")
		for i, t := range c.Tokens {
			if i == c.At {
				t = "[[" + t + "]]"
			}
			b.WriteString(strings.ReplaceAll(t, "\n", " "))
		}
	}
	if len(x.Next) > 0 {
		b.WriteString("\n\nTokens that often follow: " + list(x.Next, "%s (%.3g times as often)"))
	}
	b.WriteString("\n\nWhat do they have in common? Answer in one short phrase, without an introduction.")
	return b.String()
}

// ask is one turn of a chat.
func (j Judge) ask(ctx context.Context, question string) (string, error) {
	body, err := json.Marshal(map[string]any{
		"model": j.Model, "temperature": 0, "max_tokens": 60, "messages": []map[string]string{{"role": "user", "content": question}},
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(j.URL, "/")+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", task.Refuse(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", fmt.Errorf("the judge does not answer: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, judgeAnswer))
	if err != nil {
		return "", fmt.Errorf("the judge at %s: %w", j.URL, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the judge at %s answers %s: %.200s", j.URL, resp.Status, text)
	}
	var answer struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Choices) == 0 {
		return "", fmt.Errorf("the judge at %s gives no message: %.200s", j.URL, text)
	}
	return strings.Join(strings.Fields(answer.Choices[0].Message.Content), " "), nil
}
