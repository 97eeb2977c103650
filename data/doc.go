// Package data is what every data set shares: documents and files in a fixed order, the share held out for validation, the
// cursor that makes a run resumable, a shuffle without a table, and data sets that come as Go modules. It knows no tokenizer,
// no source and no network.
//
// The sources are packages of their own, none of which knows another: data/text reads corpora for language models,
// data/labelled texts with a class or a score, data/images labelled images; data/tokenizers turns text into ids. Package
// recipe has the list of them.
//
// Every choice is a function of the config and the seed: which files are taken, what is held out, in which order windows
// come. No choice depends on the time, on goroutines or on the order in which a file system lists its files:
//
//	order := data.NewPermutation(windows, seed, "data/order", uint64(epoch))
//	next := order.At(cursor.Position)
//
// Data sets that no user has to provide come from Go modules, which the go command fetches, verifies and keeps.
package data
