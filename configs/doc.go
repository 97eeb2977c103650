// Package configs decodes TOML config files strictly and reports every mistake at once, each with its file and line.
// It knows no schema: the packages own their Config structs (tags, defaults, Validate), this one must not import them.
//
// The caller fills a struct with its defaults, and [Load] lays the file and the --set overrides over it:
//
//	cfg := train.DefaultConfig()
//	err := configs.Load("configs/tiny.toml", &cfg, configs.Options{Set: []string{"train.steps=10"}})
//	if errors.Is(err, configs.ErrConfig) {
//		fmt.Fprintln(os.Stderr, err) // one problem a line
//		os.Exit(2)
//	}
//
// A report looks like this; unknown keys, wrong types and failed validation come together, in the order of the file:
//
//	configs/tiny.toml:4: unknown key "d_modle" in [model]; did you mean "d_model"?
//	configs/tiny.toml:9: [attention] n_head = 3 does not divide [model] d_model = 64
//	--set train.steps=ten: [train] steps = "ten" is a string; want an integer
//
// # Structs
//
// Every exported field carries a `toml:"name"` tag. A field is a bool, a string, an integer or a float of any size, a
// struct (a table), a slice or an array of those, or a pointer to one (nil where the file does not have the key). An
// embedded struct without a tag lends its keys to the struct around it. Maps, interfaces and functions are refused, except that
// a [OneOf] holds one of the kinds of a concept, each with keys of its own; which kinds there are the caller says, by [Lists].
// Floats take integers (learning_rate = 1); NaN and infinities are refused; an integer must fit its field.
//
// More tags say what a key means: doc, unit and choices (see [Key]); messages and documentation read them from there.
//
// A struct that implements [Validator] is validated after decoding, innermost first. The elements of a slice of tables
// start from their zero value, or from what [Defaulter] sets.
package configs
