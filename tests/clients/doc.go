// Package clients asks `model serve` by the official Go client of OpenAI's interface:
//
//	go -C tests/clients test ./...
package clients
