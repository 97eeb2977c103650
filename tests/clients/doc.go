// Package clients asks `model serve` by the official Go client of OpenAI's interface, and looks at its page in a browser, if Chromium is there:
//
//	go -C tests/clients test ./...
package clients
