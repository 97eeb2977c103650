// Package page draws how a network weighs the words of texts as HTML. It must not know networks.
package page
