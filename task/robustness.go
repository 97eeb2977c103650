package task

// Robustness is how a classifier of images fares on spoilt ones.
type Robustness struct {
	Clean       Score
	Corruptions []CorruptionAccuracy // as the data orders them
	Mean        float64              // accuracy over all corruptions and severities
}

// CorruptionAccuracy is the accuracy under one corruption.
type CorruptionAccuracy struct {
	Name       string
	Severities []float64 // from the mildest
	Mean       float64
}
