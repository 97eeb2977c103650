package model

import "fmt"

// Dims are the sizes of a network that follow from its data.
type Dims struct {
	VocabSize  int  // of the tokenizer
	Context    int  // longest sequence, tokens
	Classes    int  // of a classification; else 0
	Regression bool // one score for each text
	Candidates int  // of each query, of a network that ranks them; else 0

	// Sizes of a network that looks at images, whose context is the number of their pixels
	// and that has no vocabulary; else 0.
	ImageSize int // side, pixels
	Channels  int

	Catalogue // of a network that recommends; else zero
}

// Catalogue are the sizes of a network that recommends items to users: it has neither a vocabulary nor a context.
type Catalogue struct {
	Users, Items           int
	UserFields, ItemFields int // what is known of each
	UserValues, ItemValues int // of all these fields together
	UserLength, ItemLength int // most values that are known of one
	TimeFields, TimeValues int // of the time of a choice
}

// ImageDims are those of a classifier of square images.
func ImageDims(classes, imageSize, channels int) Dims {
	return Dims{Context: imageSize * imageSize, Classes: classes, ImageSize: imageSize, Channels: channels}
}

// Validate reports dimensions without which no network can be built.
func (d Dims) Validate() error {
	if d.ImageSize != 0 {
		if d != ImageDims(d.Classes, d.ImageSize, d.Channels) || d.ImageSize < 1 || d.Channels < 1 || d.Classes < 1 {
			return fmt.Errorf("model: images of %d pixels a side and %d channels in %d classes, context %d, vocabulary %d; want what ImageDims returns, at least 1 each",
				d.ImageSize, d.Channels, d.Classes, d.Context, d.VocabSize)
		}
		return nil
	}
	if c := d.Catalogue; c != (Catalogue{}) {
		if d != (Dims{Catalogue: c}) || c.Users < 1 || c.Items < 1 || c.UserValues < 0 || c.ItemValues < 0 {
			return fmt.Errorf("model: %d users and %d items; want at least 1 each, and no other sizes", c.Users, c.Items)
		}
		return nil
	}
	if d.VocabSize < 1 || d.Context < 1 {
		return fmt.Errorf("model: vocabulary of %d and context of %d tokens; want at least 1 each", d.VocabSize, d.Context)
	}
	if d.Classes < 0 || d.Classes > 0 && d.Regression {
		return fmt.Errorf("model: %d classes, regression %t; want classes or a regression, or neither", d.Classes, d.Regression)
	}
	return nil
}

// Outputs is the width of a classifier's scores; 0: a language model.
func (d Dims) Outputs() int {
	if d.Regression {
		return 1
	}
	return d.Classes
}

// Shape is that of a program for rows texts of length tokens, or for rows images.
func (d Dims) Shape(rows, length int) Shape {
	if d.ImageSize > 0 {
		return Shape{Rows: rows, Height: d.ImageSize, Width: d.ImageSize}
	}
	return Shape{Rows: rows, Length: length}
}
