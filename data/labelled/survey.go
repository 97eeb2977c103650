package labelled

import (
	"context"

	"sparrow/data"
)

// Look finds the files of a source without reading them; those of source "tsv" are read, for their labels. It fails as [Open]
// does when a key of the source is wrong or a file is missing.
func Look(ctx context.Context, from Source) (data.Survey, error) {
	if err := data.Check(from); err != nil {
		return data.Survey{}, err
	}
	s, err := from.Look(ctx)
	if file := from.Labelled().Vectors; file != "" && err == nil {
		s.VectorDim, err = vectorDim(file)
	}
	return s, err
}
