// Command neighbours runs the claim about search by CUR factorization: models of pairs score many items once, and how much of their best
// each method finds at a budget is measured over several choices of anchors.
//
//	go run ./tests/claims/neighbours                  both subjects, about 6 hours; a killed program goes on where it was
//	go run ./tests/claims/neighbours --subject NAME   one of them
//	go run ./tests/claims/neighbours --quick          tiny models and few items, to check the machinery; writes no document
//
// SPARROW_MINILM names a checkpoint of all-MiniLM-L6-v2 (model import), from which all models start, and SPARROW_STSB a folder with
// GLUE's STS-B. It must not know how items are chosen.
package main
