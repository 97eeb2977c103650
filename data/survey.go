package data

// Survey is what a config says of a data set before it is read.
type Survey struct {
	Files int
	Bytes int64 // of text, files that are not UTF-8 included; or of pixels

	// Of labelled texts and images:
	Labels []string
	Pairs  bool // two texts an example

	// VectorDim is the width of the word vectors that the config names; 0: none.
	VectorDim int

	// Of images:
	Channels, Height, Width int
}
