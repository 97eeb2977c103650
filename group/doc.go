// Package group is the processes that work on one run: one alone, or several that exchange messages over MPI.
//
// A sum over all ranks is a binary tree in the order of the ranks: 0+1, 2+3, then (0+1)+(2+3), and so on. So a tree over shards, of
// which each rank has a whole subtree, gives the same bits for any number of ranks.
//
//	g, err := group.Open()
//	if err != nil {
//		return err
//	}
//	defer g.Close()
//	pending := g.Start(bucket) // the sum over all ranks, in place
//	...
//	err = pending.Wait()
//
// It must not know what the numbers mean.
package group
