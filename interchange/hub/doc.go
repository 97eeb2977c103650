// Package hub brings the files of a model from a hub of Hugging Face's kind into the cache that its own tools use, so that
// neither fetches what the other has. What a hub says is held against limits and checksums; a download that was cut goes on
// where it stopped. It must not know what the files mean.
//
//	id, _ := hub.Parse("sentence-transformers/all-MiniLM-L6-v2")
//	dir, err := hub.Environment().Fetch(ctx, id, want, nil)
//
// The protocol is that of huggingface_hub: /api/models/OWNER/NAME/revision/REVISION lists the files of a commit, HEAD of
// /OWNER/NAME/resolve/COMMIT/FILE tells size and checksum, GET with Range gives the bytes, from wherever it redirects to.
package hub
