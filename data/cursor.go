package data

// Cursor is a place in an endless sequence of windows or batches. It is all the state a loader has, and goes into
// checkpoints.
type Cursor struct {
	Epoch    int `json:"epoch"`    // passes over the stream that are complete
	Position int `json:"position"` // windows or batches of this epoch that were handed out
}
