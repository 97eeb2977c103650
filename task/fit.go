package task

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sparrow/model"
	"sparrow/recipe"
)

// FitsLines says whether a config names a task that reads labelled texts beside text without labels, of which the inputs of a
// network's layers can be learned, for a compression.
func FitsLines(c recipe.Config, kind string) bool {
	_, text := c.Data.Text()
	return text && c.TaskKind() == kind
}

// NoLabels is why a batch for a mode cannot be made of text without labels; nil: it can.
func NoLabels(c recipe.Config, f Feed, want string) error {
	if f.Mode == model.Score && f.Endless() {
		return nil
	}
	return Refusef("[data] source = %q has no labels, of which there is a loss: want %s; a method of compression that only reads inputs, such as svd_llm with allocation = \"uniform\", does without", c.Data.Name, want)
}

// Misfit says by a key why a config is not one of a task.
type Misfit struct {
	Key     string // SourceKey, NetworkKey, or another: data and network are the task's, but not all that is asked
	Value   any    // of the key; nil: its table says it
	Message string // goes on where "[table] key = value" ends
}

// What decides which task is a config's.
const (
	SourceKey  = "data.source"
	NetworkKey = "model.kind"
)

// Error implements error.
func (m *Misfit) Error() string {
	dot := strings.LastIndexByte(m.Key, '.')
	where := fmt.Sprintf("[%s] %s", m.Key[:dot], m.Key[dot+1:])
	if m.Value != nil {
		where += fmt.Sprintf(" = %#v", m.Value)
	}
	return where + " " + m.Message
}

// Fit says why a config's network is not one whose body gives B, such as model.Reader, or its source does not give S, such as
// text.Source; data names what is wanted. A config without a source, as that of an imported model, has no data to refuse.
func Fit[B, S any](c recipe.Config, data string) (B, error) {
	body, ok := c.Model.Of.(B)
	_, gives := c.Data.Of.(S)
	switch {
	case !c.Data.IsNone() && !gives:
		return body, &Misfit{SourceKey, c.Data.Name, fmt.Sprintf("has %s; want %s", c.Data.Gives(), data)}
	case !ok:
		return body, &Misfit{NetworkKey, c.Model.Name, fmt.Sprintf("is no %v", reflect.TypeFor[B]())}
	}
	return body, nil
}

// Offer is what a task has of what any config may ask for.
type Offer struct {
	Writes   bool     // texts: [sample] prompt
	Examples bool     // are counted, not tokens: [eval] examples
	Metrics  []string // [eval] metric
}

// Check says what a config asks for and the task does not offer.
func (o Offer) Check(c recipe.Config) error {
	switch {
	case !o.Writes && c.Sample.Prompt != "":
		return &Misfit{"sample.prompt", c.Sample.Prompt, "is for a decoder of text: other networks write none"}
	case !o.Examples && c.Eval.Examples != 0:
		return &Misfit{"eval.examples", c.Eval.Examples, fmt.Sprintf("is for labelled data, but [data] source = %q; want tokens", c.Data.Name)}
	case !slices.Contains(o.Metrics, c.Eval.Metric):
		return &Misfit{"eval.metric", c.Eval.Metric, "is not measured on such data; want one of " + strings.Join(o.Metrics, ", ")}
	}
	return nil
}
