// Package atlas draws discovered classes as one HTML page, complete in itself: where the examples lie in the simplex, the shares of
// the classes by domain, and examples of each class. It must not know how they were found.
package atlas
