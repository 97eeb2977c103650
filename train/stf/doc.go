// Package stf trains dense_sparse layers with latent values, as [recipe.STF] says: DSFormer's Straight-Through Factorizer. It
// knows one network's store and an optimizer of its own, no task, no loop and no run's folder.
//
//	f := stf.New(cfg, store)        // nil without latent values
//	f.Apply(&options)               // before the session is made
//	err := f.Begin()                // when the network has been built
//	made, err := stf.Start(ctx, cfg, seed, store, f, nil)
//	swaps, err := f.Update(grads, step, rate, scale)
package stf
