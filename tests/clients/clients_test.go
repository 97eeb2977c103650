package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// served starts `model serve` over a writer and an encoder and gives its address; the key is "a-key".
func served(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "model")
	build := exec.Command("go", "build", "-o", bin, "./cmd/model")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	work := t.TempDir()
	for name, folder := range map[string]string{"writer": writer(t), "encoder": encoder(t)} {
		c := exec.Command(bin, "import", folder, "-o", name)
		c.Dir = work
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("import of %s: %v\n%s", name, err, out)
		}
	}
	// As a run of compress has its checkpoint, with the report beside.
	for _, err := range []error{
		os.MkdirAll(filepath.Join(work, "run", "checkpoints"), 0o755), os.Rename(filepath.Join(work, "writer"), filepath.Join(work, "run", "checkpoints", "step-000000")),
		os.WriteFile(filepath.Join(work, "run", "compress.toml"), nil, 0o644), // which says that the page beside is of a compression
		os.WriteFile(filepath.Join(work, "run", "report.html"), []byte("<!doctype html><title>r</title><h1>a small report</h1>"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	keys := filepath.Join(work, "keys")
	if err := os.WriteFile(keys, []byte("a-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(bin, "serve", "writer=run", "encoder", "--listen", "127.0.0.1:0", "--api-key-file", keys)
	c.Dir = work
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	var log strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if m := regexp.MustCompile(`msg=ready url=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			go func() {
				for lines.Scan() { // so that it is not held up
				}
			}()
			return m[1]
		}
	}
	t.Fatalf("it is never ready:\n%s", log.String())
	return ""
}

func TestClient(t *testing.T) {
	client, ctx := openai.NewClient(option.WithBaseURL(served(t)+"/v1/"), option.WithAPIKey("a-key"), option.WithMaxRetries(0)), context.Background()

	t.Run("models", func(t *testing.T) {
		page, err := client.Models.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Data) != 2 || page.Data[0].ID != "writer" || page.Data[1].ID != "encoder" || page.Data[0].OwnedBy != "sparrow" || page.Data[0].Created == 0 {
			t.Errorf("%+v", page.Data)
		}
		one, err := client.Models.Get(ctx, "encoder")
		if err != nil || one.ID != "encoder" {
			t.Errorf("%+v, %v", one, err)
		}
	})

	t.Run("completions", func(t *testing.T) {
		for _, prompt := range []openai.CompletionNewParamsPromptUnion{{OfString: openai.String("hi")}, {OfArrayOfTokens: []int64{'h', 'i'}}} {
			got, err := client.Completions.New(ctx, openai.CompletionNewParams{Model: "writer", Prompt: prompt, MaxTokens: openai.Int(12), Temperature: openai.Float(0), Logprobs: openai.Int(3), Echo: openai.Bool(true),
				LogitBias: map[string]int64{"257": -100, "258": -100}})
			if err != nil {
				t.Fatal(err)
			}
			c := got.Choices[0]
			// The client loses all of top_logprobs where the first is null, as OpenAI has it of a prompt's first token.
			if !strings.HasPrefix(c.Text, "hi") || c.FinishReason != "length" || len(c.Logprobs.Tokens) != 14 || got.Usage.CompletionTokens != 12 || got.Usage.PromptTokens != 2 {
				t.Errorf("%d tokens, %d places, %s (%q)", len(c.Logprobs.Tokens), len(c.Logprobs.TopLogprobs), c.FinishReason, c.Text)
			}
		}
	})

	messages := []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("be short"), openai.UserMessage("what is the weather?")}
	t.Run("chat", func(t *testing.T) {
		params := openai.ChatCompletionNewParams{Model: "writer", Messages: messages, MaxCompletionTokens: openai.Int(20), Seed: openai.Int(3), Logprobs: openai.Bool(true), TopLogprobs: openai.Int(2),
			StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}}
		stream := client.Chat.Completions.NewStreaming(ctx, params)
		sum := openai.ChatCompletionAccumulator{}
		for stream.Next() {
			if !sum.AddChunk(stream.Current()) {
				t.Fatal("a chunk does not follow the one before")
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		params.StreamOptions = openai.ChatCompletionStreamOptionsParam{}
		whole, err := client.Chat.Completions.New(ctx, params)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := sum.Choices[0], whole.Choices[0]; a.Message.Content != b.Message.Content || a.FinishReason != b.FinishReason || len(b.Logprobs.Content) == 0 || sum.Usage.TotalTokens != whole.Usage.TotalTokens || whole.Usage.TotalTokens == 0 {
			t.Errorf("a stream says %q (%s, %+v), one answer %q (%s, %+v)", a.Message.Content, a.FinishReason, sum.Usage, b.Message.Content, b.FinishReason, whole.Usage)
		}
	})

	t.Run("tools", func(t *testing.T) {
		got, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: "writer", Messages: messages, MaxTokens: openai.Int(200), Seed: openai.Int(1),
			ToolChoice: openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("required")},
			Tools: []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: "weather", Description: openai.String("of a city"),
				Parameters: openai.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string", "enum": []string{"Oslo", "Rome"}}}, "required": []string{"city"}, "additionalProperties": false}})}})
		if err != nil {
			t.Fatal(err)
		}
		calls := got.Choices[0].Message.ToolCalls
		var arguments struct{ City string }
		if len(calls) != 1 || calls[0].Function.Name != "weather" || got.Choices[0].FinishReason != "tool_calls" || json.Unmarshal([]byte(calls[0].Function.Arguments), &arguments) != nil || arguments.City != "Oslo" && arguments.City != "Rome" {
			t.Fatalf("%s", got.RawJSON())
		}
		// And the answer of the tool is part of the conversation.
		more := append(append([]openai.ChatCompletionMessageParamUnion{}, messages...), got.Choices[0].Message.ToParam(), openai.ToolMessage("rain", calls[0].ID))
		if _, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: "writer", Messages: more, MaxTokens: openai.Int(5)}); err != nil {
			t.Error(err)
		}
	})

	t.Run("schema", func(t *testing.T) {
		schema := map[string]any{"type": "object", "properties": map[string]any{"n": map[string]any{"type": "integer", "minimum": 1, "maximum": 3}}, "required": []string{"n"}, "additionalProperties": false}
		got, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: "writer", Messages: messages, MaxTokens: openai.Int(50),
			ResponseFormat: openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &openai.ResponseFormatJSONSchemaParam{JSONSchema: openai.ResponseFormatJSONSchemaJSONSchemaParam{Name: "count", Strict: openai.Bool(true), Schema: schema}}}})
		if err != nil {
			t.Fatal(err)
		}
		var x struct{ N int }
		if err := json.Unmarshal([]byte(got.Choices[0].Message.Content), &x); err != nil || x.N < 1 || x.N > 3 {
			t.Errorf("%v: %s", err, got.RawJSON())
		}
	})

	t.Run("embeddings", func(t *testing.T) {
		got, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: "encoder", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a man", "soup"}}, Dimensions: openai.Int(8)})
		if err != nil || len(got.Data) != 2 || len(got.Data[0].Embedding) != 8 || got.Usage.PromptTokens == 0 {
			t.Errorf("%v, %+v", err, got)
		}
	})

	t.Run("errors", func(t *testing.T) {
		for want, ask := range map[int]func() error{
			404: func() error {
				_, err := client.Completions.New(ctx, openai.CompletionNewParams{Model: "none", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("x")}})
				return err
			},
			400: func() error {
				_, err := client.Completions.New(ctx, openai.CompletionNewParams{Model: "writer", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("x")}, Temperature: openai.Float(-1)})
				return err
			},
			401: func() error {
				_, err := client.Models.List(ctx, option.WithAPIKey("another"))
				return err
			},
		} {
			var e *openai.Error
			if err := ask(); !errors.As(err, &e) || e.StatusCode != want || e.Type != "invalid_request_error" || e.Message == "" {
				t.Errorf("want status %d: %v", want, err)
			}
		}
	})

	t.Run("cancel", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		stream := client.Completions.NewStreaming(ctx, openai.CompletionNewParams{Model: "writer", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("x")}, MaxTokens: openai.Int(4000), LogitBias: map[string]int64{"257": -100, "258": -100}})
		if !stream.Next() {
			t.Fatal(stream.Err())
		}
		cancel()
		for stream.Next() {
		}
		if !errors.Is(stream.Err(), context.Canceled) {
			t.Errorf("%v", stream.Err())
		}
	})
}
