package data

import "sparrow/configs"

// Source is where data comes from: a kind of [data] source, a struct of the keys that its table has. What it gives says which
// tasks it fits: it is a text.Source, a labelled.Source or an images.Source as well. One with a method Validate is validated as
// part of its table.
type Source interface {
	// Name is the source's, as configs and messages write it.
	Name() string
}

// Check validates a source that did not come through a config file.
func Check(s Source) error {
	table := struct {
		configs.OneOf[Source] `kind:"source"`
	}{configs.OneOf[Source]{Name: s.Name(), Of: s}}
	return configs.Validate("data: config", &table)
}
