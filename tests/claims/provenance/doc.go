// Package provenance tells where numbers come from: the machine, the commit, and the code that a run runs. It knows nothing of
// claims.
//
//	root, err := provenance.Root()
//	code, err := provenance.Code(root, "sparrow/train") // changes with any package that training runs
package provenance
