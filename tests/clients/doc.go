// Package clients asks `model serve` by the official Go client of OpenAI's interface, by OpenAI's Python package, lm-evaluation-harness and
// schemathesis where SPARROW_PYTHON names an interpreter that has them, and looks at its page in a browser, if Chromium is there:
//
//	go -C tests/clients test ./...
package clients
