// Package shard adds the gradients of a step's shards in a binary tree whose order depends on their number alone, over one process or
// several.
//
//	sum := shard.New(store, shards, group)
//	sum.Begin()
//	for each of the rank's shards {
//		for each of its micro-batches { sum.Micro(first, last); program.Run() }
//		err := sum.Next()
//	}
//	grads, err := sum.Total()
//
// It must not know the trainer, or what an optimizer does with the sum.
package shard
