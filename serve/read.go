package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// unsupported are fields of OpenAI's and others that would change the output, and that no request here has.
var unsupported = []string{
	"audio", "function_call", "functions", "grammar", "guided_choice", "guided_grammar", "guided_json", "guided_regex", "json_schema", "mirostat", "min_tokens",
	"modalities", "prediction", "prompt_embeds", "reasoning_effort", "typical_p", "use_beam_search", "verbosity", "web_search_options", "ignore_eos",
}

// read decodes the body of a request. A field that would change the answer and is not supported is an error; any other that is
// unknown is counted.
func (s *Server) read(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind != "application/json" && kind != "application/x-www-form-urlencoded" { // curl -d says the latter
		return &Error{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Message: fmt.Sprintf("a body of type %s; want application/json", clip(kind))}
	}
	text, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &Error{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Message: fmt.Sprintf("the body has more than %d bytes", large.Limit)}
	case err != nil:
		return badRequest("", "the body ends early: %v", err)
	}
	if !utf8.Valid(text) {
		return badRequest("", "the body is no valid UTF-8")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return badRequest("", "the body is no JSON object: %v", notObject(err))
	}
	known := fieldsOf(reflect.TypeOf(into).Elem())
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[name])
		switch {
		case slices.Contains(known, strings.ToLower(name)) || value == "null":
		case slices.Contains(unsupported, name):
			return badRequest(name, "%s is not supported", name)
		default:
			s.metrics.unknown.Inc()
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			field := strings.TrimPrefix(kind.Field, "Sampling.")
			return badRequest(field, "%s is a %s; want %s", field, clip(kind.Value), kindName(kind.Type))
		}
		return badRequest("", "%v", err)
	}
	return nil
}

// as reads a JSON value as a T, if it is one; null and nothing are none.
func as[T any](text json.RawMessage) (x T, ok bool) {
	if len(text) == 0 || string(text) == "null" || json.Unmarshal(text, &x) != nil {
		var none T
		return none, false
	}
	return x, true
}

func notObject(err error) error {
	if err == nil {
		return errors.New("it is null")
	}
	return errors.New(clip(err.Error()))
}

// fieldsOf are the names of a struct's fields as they travel.
func fieldsOf(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// kindName is how messages and the description call a type.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Float64, reflect.Float32:
		return "number"
	case reflect.Slice:
		return "array"
	}
	return "object"
}
