package task

import (
	"fmt"
	"reflect"

	"sparrow/recipe"
)

// Fit says why a config's network is not one whose body gives B, such as model.Reader, or its data is not of the kind wanted;
// data names what is. A config without a source, as that of an imported model, has no data to refuse.
func Fit[B any](c recipe.Config, fits bool, data string) (B, error) {
	body, ok := c.Model.Body().(B)
	switch {
	case c.Data.Source != "" && !fits:
		return body, fmt.Errorf("[data] source = %q; want %s", c.Data.Source, data)
	case !ok:
		return body, fmt.Errorf("[model] kind = %q is no %v", c.Model.Kind, reflect.TypeFor[B]())
	}
	return body, nil
}
