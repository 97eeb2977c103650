package serve

import "encoding/json"

// The structs below are requests and answers as they travel. Their doc tags become the OpenAPI description. A field of
// OpenAI's that would change the output and is not supported stands in unsupported.

// CompletionRequest asks for texts that continue prompts.
type CompletionRequest struct {
	Model  string          `json:"model" doc:"name of a model, as /v1/models lists them"`
	Prompt json.RawMessage `json:"prompt" doc:"a text, an array of texts, an array of token ids, or an array of those"`
	Echo   bool            `json:"echo,omitempty" doc:"whether the prompt stands before what follows, with log-probabilities if those are asked for"`
	Suffix string          `json:"suffix,omitempty" doc:"not supported"`

	MaxTokens *int `json:"max_tokens,omitempty" doc:"tokens to write at most; 16 if it is absent"`
	Logprobs  *int `json:"logprobs,omitempty" doc:"how many of the likeliest tokens are given with their log-probabilities, 0 to 20"`
	BestOf    *int `json:"best_of,omitempty" doc:"n or absent: more is not supported"`
	Sampling
}

// ChatRequest asks for the next message of a conversation.
type ChatRequest struct {
	Model    string        `json:"model" doc:"name of a model, as /v1/models lists them"`
	Messages []ChatMessage `json:"messages" doc:"the conversation so far"`

	MaxTokens           *int            `json:"max_tokens,omitempty" doc:"tokens to write at most; what the context has room for if it is absent"`
	MaxCompletionTokens *int            `json:"max_completion_tokens,omitempty" doc:"max_tokens by its newer name"`
	Logprobs            bool            `json:"logprobs,omitempty" doc:"whether log-probabilities of the tokens are given"`
	TopLogprobs         *int            `json:"top_logprobs,omitempty" doc:"how many of the likeliest tokens are given, 0 to 20"`
	Tools               []Tool          `json:"tools,omitempty" doc:"functions that the model may call, if its template knows tools"`
	ToolChoice          json.RawMessage `json:"tool_choice,omitempty" doc:"none, auto, required, or the function that must be called"`
	ParallelToolCalls   *bool           `json:"parallel_tool_calls,omitempty" doc:"whether several calls may come at once; false keeps the first"`
	ResponseFormat      json.RawMessage `json:"response_format,omitempty" doc:"text, json_object, or json_schema with a schema that the message will be valid by"`
	TemplateArguments   map[string]any  `json:"chat_template_kwargs,omitempty" doc:"further variables of the template, such as enable_thinking"`
	Sampling
}

// Sampling says how tokens are chosen and what ends a text.
type Sampling struct {
	N                *int               `json:"n,omitempty" doc:"how many choices of each prompt, 1 to 128"`
	Temperature      *float64           `json:"temperature,omitempty" doc:"0: always the likeliest token; what the model says, else 1, if it is absent"`
	TopP             *float64           `json:"top_p,omitempty" doc:"draw from the likeliest tokens that hold this share of probability"`
	TopK             *int               `json:"top_k,omitempty" doc:"draw from the K likeliest tokens; 0: all"`
	MinP             *float64           `json:"min_p,omitempty" doc:"draw from tokens at least this many times as likely as the likeliest"`
	Repetition       *float64           `json:"repetition_penalty,omitempty" doc:"divides the scores of tokens that the text has; 1: none"`
	Seed             *uint64            `json:"seed,omitempty" doc:"of the draws: equal seeds give equal texts; another each time if it is absent"`
	PresencePenalty  *float64           `json:"presence_penalty,omitempty" doc:"taken from the score of a token that has been written, -2 to 2"`
	FrequencyPenalty *float64           `json:"frequency_penalty,omitempty" doc:"taken from the score of a token for each time it has been written, -2 to 2"`
	LogitBias        map[string]float64 `json:"logit_bias,omitempty" doc:"added to the scores of tokens, by their ids, -100 to 100"`
	Steer            *SteerRequest      `json:"steer,omitempty" doc:"a feature that is added to every token, of a model that is served with features"`
	Stop             stops              `json:"stop,omitempty" doc:"a text or up to 16 that end what is written; they are not part of it"`
	Stream           bool               `json:"stream,omitempty" doc:"whether the answer comes as server-sent events"`
	StreamOptions    *StreamOptions     `json:"stream_options,omitempty" doc:"of a stream"`
	User             string             `json:"user,omitempty" doc:"ignored"`
}

// SteerRequest says how much of which feature is added.
type SteerRequest struct {
	Feature string   `json:"feature" doc:"LAYER:FEATURE or LAYER:METHOD/FEATURE, of the features that the model is served with"`
	KL      *float64 `json:"kl,omitempty" doc:"how much the next token changes, nats; 0.25 if it and alpha are absent; below 0: there is less of the feature"`
	Alpha   *float64 `json:"alpha,omitempty" doc:"how much is added, in place of kl"`
}

// StreamOptions are of a stream.
type StreamOptions struct {
	IncludeUsage bool `json:"include_usage,omitempty" doc:"whether a last event counts tokens"`
}

// ChatMessage is a turn of a conversation.
type ChatMessage struct {
	Role       string          `json:"role" doc:"system, user, assistant, tool or what the template knows"`
	Content    json.RawMessage `json:"content,omitempty" doc:"a text, or an array of parts of type text"`
	Name       string          `json:"name,omitempty" doc:"of who speaks, if the template reads it"`
	ToolCalls  []ToolCall      `json:"tool_calls,omitempty" doc:"calls that the assistant made"`
	ToolCallID string          `json:"tool_call_id,omitempty" doc:"of a tool's answer: the call"`
}

// Tool is a function that a model may call.
type Tool struct {
	Type     string       `json:"type" doc:"function"`
	Function ToolFunction `json:"function" doc:"the function"`
}

// ToolFunction describes a function.
type ToolFunction struct {
	Name        string          `json:"name" doc:"of the function"`
	Description string          `json:"description,omitempty" doc:"what it does"`
	Parameters  json.RawMessage `json:"parameters,omitempty" doc:"JSON schema of its arguments"`
	Strict      *bool           `json:"strict,omitempty" doc:"calls that are required are valid by the schema in any case"`
}

// ToolCall is a call that a model makes.
type ToolCall struct {
	Index    *int             `json:"index,omitempty" doc:"of the call, in a stream"`
	ID       string           `json:"id" doc:"of the call"`
	Type     string           `json:"type" doc:"function"`
	Function ToolCallFunction `json:"function" doc:"what is called"`
}

// ToolCallFunction is what a call calls.
type ToolCallFunction struct {
	Name      string `json:"name" doc:"of the function"`
	Arguments string `json:"arguments" doc:"a JSON object"`
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens" doc:"of the prompts"`
	CompletionTokens int `json:"completion_tokens" doc:"written"`
	TotalTokens      int `json:"total_tokens" doc:"of both"`
}

// Completion is the answer to a CompletionRequest, or an event of its stream.
type Completion struct {
	ID      string             `json:"id" doc:"of the answer"`
	Object  string             `json:"object" doc:"text_completion"`
	Created int64              `json:"created" doc:"seconds since 1970"`
	Model   string             `json:"model" doc:"that has written"`
	Choices []CompletionChoice `json:"choices" doc:"the texts"`
	Usage   *Usage             `json:"usage,omitempty" doc:"of the whole request"`
}

// CompletionChoice is one text.
type CompletionChoice struct {
	Index        int                 `json:"index" doc:"of the choice: those of the first prompt come first"`
	Text         string              `json:"text" doc:"what follows the prompt"`
	Logprobs     *CompletionLogprobs `json:"logprobs" doc:"of the tokens, if asked for"`
	FinishReason *string             `json:"finish_reason" doc:"stop or length"`
}

// CompletionLogprobs are of the tokens of a text; a first token without anything before it has null.
type CompletionLogprobs struct {
	Tokens        []string             `json:"tokens" doc:"texts of the tokens"`
	TokenLogprobs []*float64           `json:"token_logprobs" doc:"of each"`
	TopLogprobs   []map[string]float64 `json:"top_logprobs" doc:"of the likeliest tokens in each place"`
	TextOffset    []int                `json:"text_offset" doc:"where each begins in the text, in bytes"`
}

// ChatCompletion is the answer to a ChatRequest.
type ChatCompletion struct {
	ID      string       `json:"id" doc:"of the answer"`
	Object  string       `json:"object" doc:"chat.completion"`
	Created int64        `json:"created" doc:"seconds since 1970"`
	Model   string       `json:"model" doc:"that has written"`
	Choices []ChatChoice `json:"choices" doc:"the messages"`
	Usage   *Usage       `json:"usage,omitempty" doc:"of the whole request"`
}

// ChatChoice is one message, or in a stream a piece of it.
type ChatChoice struct {
	Index        int           `json:"index" doc:"of the choice"`
	Message      *ChatAnswer   `json:"message,omitempty" doc:"the whole, of an answer that is no stream"`
	Delta        *ChatAnswer   `json:"delta,omitempty" doc:"what a stream adds"`
	Logprobs     *ChatLogprobs `json:"logprobs,omitempty" doc:"of the tokens, if asked for"`
	FinishReason *string       `json:"finish_reason" doc:"stop, length or tool_calls"`
}

// ChatAnswer is a message of the model.
type ChatAnswer struct {
	Role      string     `json:"role,omitempty" doc:"assistant"`
	Content   *string    `json:"content,omitempty" doc:"the text"`
	ToolCalls []ToolCall `json:"tool_calls,omitempty" doc:"calls in place of a text or behind it"`
}

// ChatLogprobs are of the tokens of a message.
type ChatLogprobs struct {
	Content []ChatLogprob `json:"content" doc:"one for each token"`
}

// ChatLogprob is of one token.
type ChatLogprob struct {
	Token       string        `json:"token" doc:"its text"`
	Logprob     float64       `json:"logprob" doc:"natural logarithm"`
	Bytes       []int         `json:"bytes" doc:"its text as bytes"`
	TopLogprobs []ChatLogprob `json:"top_logprobs,omitempty" doc:"of the likeliest tokens in its place"`
}

// EmbeddingRequest asks for vectors of texts.
type EmbeddingRequest struct {
	Model          string          `json:"model" doc:"name of a sentence encoder"`
	Input          json.RawMessage `json:"input" doc:"a text or an array of texts"`
	EncodingFormat string          `json:"encoding_format,omitempty" doc:"float or base64, which is of little-endian float32"`
	Dimensions     *int            `json:"dimensions,omitempty" doc:"the first numbers of a vector, of models that are trained for it"`
	User           string          `json:"user,omitempty" doc:"ignored"`
}

// Embeddings is the answer to an EmbeddingRequest.
type Embeddings struct {
	Object string      `json:"object" doc:"list"`
	Data   []Embedding `json:"data" doc:"one for each text"`
	Model  string      `json:"model" doc:"that made them"`
	Usage  Usage       `json:"usage" doc:"tokens of the texts"`
}

// Embedding is a vector.
type Embedding struct {
	Object    string `json:"object" doc:"embedding"`
	Index     int    `json:"index" doc:"of the text"`
	Embedding any    `json:"embedding" doc:"numbers, or their base64"`
}

// ClassifyRequest asks for the classes of texts.
type ClassifyRequest struct {
	Model string          `json:"model" doc:"name of a classifier"`
	Input json.RawMessage `json:"input" doc:"a text, an array of texts, or for models of pairs an array of arrays of two texts"`
}

// Classification is the answer to a ClassifyRequest.
type Classification struct {
	Object string        `json:"object" doc:"list"`
	Data   []TextClasses `json:"data" doc:"one for each text"`
	Model  string        `json:"model" doc:"that classified them"`
}

// TextClasses is what a model says of one text.
type TextClasses struct {
	Index  int          `json:"index" doc:"of the text"`
	Label  string       `json:"label" doc:"the likeliest class, or the name of the score"`
	Scores []LabelScore `json:"scores" doc:"of all classes, the likeliest first"`
}

// LabelScore is a class and its probability, or a score.
type LabelScore struct {
	Label string  `json:"label" doc:"of the class"`
	Score float64 `json:"score" doc:"its probability, or the score of a regression"`
}

// RerankRequest asks which documents answer a query.
type RerankRequest struct {
	Model           string            `json:"model" doc:"name of a cross-encoder or a sentence encoder"`
	Query           string            `json:"query" doc:"the question"`
	Documents       []json.RawMessage `json:"documents" doc:"texts, or objects with the key text"`
	TopN            *int              `json:"top_n,omitempty" doc:"how many of the best are given; all if it is absent"`
	ReturnDocuments *bool             `json:"return_documents,omitempty" doc:"whether the documents come back; true if it is absent"`
}

// Ranking is the answer to a RerankRequest.
type Ranking struct {
	Model   string   `json:"model" doc:"that ranked"`
	Results []Ranked `json:"results" doc:"the best first"`
	Usage   Usage    `json:"usage" doc:"0: they are not counted"`
}

// Ranked is a document with its score.
type Ranked struct {
	Index     int       `json:"index" doc:"of the document in the request"`
	Relevance float64   `json:"relevance_score" doc:"larger is better"`
	Document  *Document `json:"document,omitempty" doc:"the document"`
}

// Document is a text.
type Document struct {
	Text string `json:"text" doc:"the text"`
}

// ModelList lists models.
type ModelList struct {
	Object string      `json:"object" doc:"list"`
	Data   []ModelCard `json:"data" doc:"the models"`
}

// ModelCard is a model.
type ModelCard struct {
	ID      string `json:"id" doc:"its name"`
	Object  string `json:"object" doc:"model"`
	Created int64  `json:"created" doc:"when the server has opened it, seconds since 1970"`
	OwnedBy string `json:"owned_by" doc:"sparrow"`
	Context int    `json:"context_length,omitempty" doc:"tokens of a prompt and what follows"`
	Layers  int    `json:"layers,omitempty" doc:"of a model that writes, for /v1/attention"`
	Heads   int    `json:"heads,omitempty" doc:"of attention, in each layer"`
	Items   int    `json:"recommends,omitempty" doc:"items that it recommends"`
	Report  bool   `json:"report,omitempty" doc:"whether /v1/reports has one of it"`
}

// AttentionRequest asks how one head of one layer weighs a text.
type AttentionRequest struct {
	Model  string          `json:"model" doc:"name of a model that writes"`
	Prompt json.RawMessage `json:"prompt" doc:"a text or its token ids, 256 at most"`
	Layer  int             `json:"layer" doc:"from 0"`
	Head   int             `json:"head" doc:"from 0"`
}

// Attention is the answer to an AttentionRequest.
type Attention struct {
	Model   string      `json:"model" doc:"that was looked into"`
	Layer   int         `json:"layer" doc:"as asked for"`
	Head    int         `json:"head" doc:"as asked for"`
	Tokens  []string    `json:"tokens" doc:"their texts"`
	Weights [][]float64 `json:"weights" doc:"of each token the shares of the tokens up to it, which sum to 1"`
}

// stops are texts, of which a client may send one alone.
type stops []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *stops) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		if string(text) != "null" {
			*s = stops{one}
		}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(s))
}
