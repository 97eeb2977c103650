// Command shift runs the claim about classes without labels: a grid of data sets, shifts and numbers of domains, on which the
// discovery of classes is compared with clusterings and with a classifier that knows the labels.
//
//	go run ./tests/claims/shift               the whole grid; finished cells are kept
//	go run ./tests/claims/shift --quick       a few cells, to check the machinery
//
// It must not know how commands or checkpoints use what was found.
package main
