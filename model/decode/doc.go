// Package decode continues sequences in the slots of a session's caches. It knows
// networks by their leaves alone, and neither texts nor tokenizers.
//
//	b, err := decode.New(session.Decoding(16, 2048), decode.Options{})
//	slot, err := b.Admit(decode.Request{Prompt: ids, Tokens: 100})
//	tokens, err := b.Step(ctx) // a token for each sequence whose prompt is read
//
// One goroutine drives a [Batch]; a [Loop] owns one for many callers. What a sequence
// gets does not depend on the others, to the last bit: a step has a program of few
// rows, in which kernels give a row the same bits whatever is beside it, prompts are
// read one at a time in chunks that are cut at fixed places from their start, and a
// draw depends on the seed, the choice and the place. Several places of one sequence
// in a step (see Request.Draft) have the bits of one after the other.
package decode
