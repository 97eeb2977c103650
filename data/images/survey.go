package images

import (
	"context"

	"sparrow/data"
)

// Look is the survey of images. Digits are read, which is quick; of a folder the first file is.
func Look(ctx context.Context, from Source) (data.Survey, error) {
	if err := data.Check(from); err != nil {
		return data.Survey{}, err
	}
	return from.Look(ctx)
}
