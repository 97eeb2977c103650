package text

import (
	"context"

	"sparrow/data"
)

// Look finds the files of a source without reading them. It fails as [Open] does when a key of the source is wrong or a file is
// missing.
func Look(ctx context.Context, from Source) (data.Survey, error) {
	if err := data.Check(from); err != nil {
		return data.Survey{}, err
	}
	return from.Look(ctx)
}
