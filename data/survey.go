package data

// Survey is what a config says of a data set before it is read.
type Survey struct {
	Files int
	Bytes int64 // of text, files that are not UTF-8 included; or of pixels

	// What labelled texts and images have:
	Labels []string
	Pairs  bool // two texts an example

	// VectorDim is the width of the word vectors that the config names; 0: none.
	VectorDim int

	// What images have:
	Channels, Height, Width int
}
