# Short names for the everyday commands. Go is all that they need; the checks themselves are steps of .ci/run, so that
# CI runs the same ones.

.PHONY: check test race purego bench generate build ci

check: # formatting, vet, staticcheck
	.ci/run fmt vet staticcheck

test: # all tests
	.ci/run test

race: # short tests with the race detector; needs a C compiler
	.ci/run race

purego: # short tests without assembly
	.ci/run purego

bench: # speed and memory against PyTorch
	go run ./bench

generate: # the kernels' assembly
	go generate ./kernel

build: # static binaries of the commands, in bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

ci: # everything that CI runs
	.ci/run
