// Package model holds whole networks, each built from its config, and the
// programs and sessions that run them. It knows nothing of corpora, tokenizers,
// optimizers or files.
//
//	s, err := model.NewSession(cfg, dims, store, model.Options{Sink: grads})
//	program, err := s.Train(8, 128)   // a graph and its machine for 8 x 128 tokens
//	program.Feed(tokens, targets)
//	err = program.Run()               // gradients are in the session's sink
package model
