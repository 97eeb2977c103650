// Command vocabulary runs the claims about starts of new tokens: a network gets another vocabulary, whose rows start in several ways,
// and is trained on; its loss is compared at several steps.
//
//	go run ./tests/claims/vocabulary ofa-words      words of comments that a small network has never seen
//	go run ./tests/claims/vocabulary ofa-extend     German for an English model from elsewhere
//	go run ./tests/claims/vocabulary NAME --quick   a few steps, to check the machinery; writes no document
//
// It must not know how a start is made.
package main
