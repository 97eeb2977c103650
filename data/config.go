package data

import "sparrow/configs"

// DefaultShare is the validation_share that a config leaves out.
const DefaultShare = 0.05

// CheckShare reports a validation_share that leaves one side empty.
func CheckShare(r *configs.Report, share float64) {
	if !(share > 0 && share < 1) { // also catches NaN
		r.Errorf("validation_share", "is out of range; want more than 0 and less than 1")
	}
}

// CheckMaxExamples reports a max_examples below 0.
func CheckMaxExamples(r *configs.Report, n int) {
	if n < 0 {
		r.Errorf("max_examples", "is out of range; want 0 (all) or more")
	}
}
