// Package constrain lets a model write only what a JSON schema allows.
//
// A schema is compiled to a grammar over bytes whose rules may recurse. A [State] is the set of all stacks that what has been
// written leaves; [Vocabulary.Mask] tells which tokens lead on from it, by one walk over a trie of all tokens, and keeps masks by state.
// Objects have their properties in the order of the schema, and no white space is written but one space behind ":" and ",".
//
// What the schema says and cannot be held is an error: nothing is ignored that would change what is valid.
package constrain
