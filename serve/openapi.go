package serve

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
)

// describe answers /openapi.json.
func (s *Server) describe(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, description())
	return nil
}

// description is the OpenAPI description of the endpoints, made of their types.
func description() map[string]any {
	paths, schemas := map[string]any{}, map[string]any{}
	for _, e := range endpoints() {
		ok := map[string]any{"description": "the answer"}
		if e.response != nil {
			ok["content"] = jsonContent(schemaOf(e.response, schemas))
		}
		op := map[string]any{"summary": e.doc, "responses": map[string]any{
			"200": ok, "4XX": map[string]any{"description": "what is wrong", "content": jsonContent(ref("Error"))}, "5XX": map[string]any{"description": "what went wrong", "content": jsonContent(ref("Error"))}}}
		path := strings.NewReplacer("{$}", "", "...}", "}").Replace(e.path)
		if name, _, found := strings.Cut(path[strings.Index(path, "{")+1:], "}"); found {
			op["parameters"] = []any{map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}}}
		}
		if e.request != nil {
			op["requestBody"] = map[string]any{"required": true, "content": jsonContent(schemaOf(e.request, schemas))}
		}
		paths[path] = map[string]any{strings.ToLower(e.method): op}
	}
	schemas["Error"] = map[string]any{"type": "object", "required": []string{"error"}, "properties": map[string]any{"error": object(reflect.TypeFor[Error](), schemas)}}
	return map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Sparrow", "version": "1", "description": "Completions, chat, embeddings, classes and rankings in the manner of OpenAI's interface."},
		"paths":   paths,
		"components": map[string]any{"schemas": schemas,
			"securitySchemes": map[string]any{"key": map[string]any{"type": "http", "scheme": "bearer"}}},
		"security": []any{map[string]any{"key": []any{}}, map[string]any{}},
	}
}

func jsonContent(schema any) map[string]any {
	return map[string]any{"application/json": map[string]any{"schema": schema}}
}

func ref(name string) map[string]any {
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

// schemaOf is the schema of a type; structs are put in schemas by name.
func schemaOf(t reflect.Type, schemas map[string]any) map[string]any {
	switch {
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return map[string]any{}
	case t == reflect.TypeFor[stops]():
		text := map[string]any{"type": "string"}
		return map[string]any{"anyOf": []any{text, map[string]any{"type": "array", "items": text}, map[string]any{"type": "null"}}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), schemas)}
	case reflect.Struct:
		if _, done := schemas[t.Name()]; !done {
			schemas[t.Name()] = nil // types may hold themselves
			schemas[t.Name()] = object(t, schemas)
		}
		return ref(t.Name())
	}
	return map[string]any{"type": kindName(t)}
}

// object is the schema of a struct.
func object(t reflect.Type, schemas map[string]any) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		name, more, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		x := schemaOf(f.Type, schemas)
		if f.Type.Kind() == reflect.Pointer && x["type"] != nil {
			x["type"] = []any{x["type"], "null"}
		}
		if doc := f.Tag.Get("doc"); doc != "" {
			x["description"] = doc
		}
		properties[name] = x
		if more != "omitempty" {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}
