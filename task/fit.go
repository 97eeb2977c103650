package task

import (
	"fmt"
	"reflect"

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

// Fit says why a config's network is not one whose body gives B, such as model.Reader, or its source does not give S, such as
// text.Source; data names what is wanted. A config without a source, as that of an imported model, has no data to refuse.
func Fit[B, S any](c recipe.Config, data string) (B, error) {
	body, ok := c.Model.Body().(B)
	_, gives := c.Data.Of.(S)
	switch {
	case !c.Data.IsNone() && !gives:
		return body, fmt.Errorf("[data] source = %q; want %s", c.Data.Name, data)
	case !ok:
		return body, fmt.Errorf("[model] kind = %q is no %v", c.Model.Name, reflect.TypeFor[B]())
	}
	return body, nil
}
