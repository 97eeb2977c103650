package task

import (
	"fmt"
	"reflect"

	"sparrow/recipe"
)

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
