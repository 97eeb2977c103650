package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"sparrow/model/decode"
)

// Error is an answer other than success, in OpenAI's shape.
type Error struct {
	Status  int    `json:"-"`
	Message string `json:"message" doc:"what is wrong and what is wanted"`
	Type    string `json:"type" doc:"whose mistake it is"`
	Param   string `json:"param" doc:"field that is wrong, or null"`
	Code    string `json:"code" doc:"name of what is wrong, or null"`
}

func (e *Error) Error() string { return e.Message }

// MarshalJSON implements json.Marshaler: what is not known is null.
func (e *Error) MarshalJSON() ([]byte, error) {
	known := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return json.Marshal(map[string]any{"message": e.Message, "type": e.Type, "param": known(e.Param), "code": known(e.Code)})
}

// retryAfter is after how many seconds one who was refused may ask again.
const retryAfter = 1

// badRequest is a mistake in the field param; "": in the whole.
func badRequest(param, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: param, Message: fmt.Sprintf(format, args...)}
}

func unauthorized() *Error {
	return &Error{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key", Message: "the API key is missing or wrong; send it as: Authorization: Bearer KEY"}
}

func noModel(name string, have []string) *Error {
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found", Message: fmt.Sprintf("there is no model %q; there are %q", clip(name), have)}
}

func cannot(name, what string) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: "model", Code: "model_not_supported", Message: fmt.Sprintf("model %q %s", name, what)}
}

var (
	// errBusy answers those for whom the queue has no room.
	errBusy = &Error{Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "queue_full", Message: "all slots are taken and the queue is full; try again later"}
	// errDraining answers those whose request had not begun when the server was asked to end.
	errDraining = &Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "shutting_down", Message: "the server is shutting down; try again at another one"}
	// errCut ends those that run when the time to finish is over.
	errCut = errors.New("serve: the time to finish is over")
)

// toError is what a client is told of an error.
func toError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, decode.ErrTooLong):
		return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "context_length_exceeded", Message: err.Error()}
	case errors.Is(err, decode.ErrClosed):
		return errDraining
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Status: 499, Type: "invalid_request_error", Code: "canceled", Message: "the client has gone"}
	}
	return &Error{Status: http.StatusInternalServerError, Type: "server_error", Message: err.Error()}
}

// refuse writes an error, if nothing has been written yet.
func refuse(w http.ResponseWriter, err error) *Error {
	e := toError(err)
	if e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	answer(w, e.Status, map[string]any{"error": e})
	return e
}

// answer writes a JSON value.
func answer(w http.ResponseWriter, status int, x any) {
	text, err := json.Marshal(x)
	if err != nil { // a number that is none
		status, text = http.StatusInternalServerError, []byte(`{"error":{"message":"the answer holds a number that is none","type":"server_error"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that has gone needs no answer
}

// clip cuts what a client sent, for a message.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
