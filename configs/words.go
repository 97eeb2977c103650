package configs

import (
	"fmt"
	"reflect"
	"time"
)

// gotWord names the type of a value of the TOML parser.
func gotWord(raw any) string {
	switch raw.(type) {
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case time.Time:
		return "a date or time"
	case []any:
		return "an array"
	}
	return "a table"
}

// wantWord names what a field takes.
func wantWord(t reflect.Type) string {
	t = pointee(t)
	switch t.Kind() {
	case reflect.Slice:
		return "an array of " + plural(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("an array of %d %s", t.Len(), plural(t.Elem()))
	case reflect.Struct:
		return "a table"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "an integer"
}

func plural(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return "arrays"
	case reflect.Struct:
		return "tables"
	case reflect.Bool:
		return "booleans"
	case reflect.String:
		return "strings"
	case reflect.Float32, reflect.Float64:
		return "numbers"
	}
	return "integers"
}
