// Package model runs networks: graphs built by bodies and heads, and the programs
// and sessions that run them. It knows nothing of corpora, tokenizers, optimizers
// or files.
//
//	err := model.Declare(network, store, options)  // names and shapes, no memory
//	s, err := model.NewSession(network, store, options)
//	program, err := s.Program(model.Train, model.Shape{Rows: 8, Length: 128})
//	program.Feed(map[string][]int{"tokens": tokens, "targets": targets})
//	err = program.Run()                            // gradients are in the session's sink
//
// A [Network] is a body, a head and a loss. A body is a [Sequence], a [Reader] or a
// [Viewer], by what it gives: a state a token, a vector a text, a vector an image.
package model
