// Package discover finds classes in data from several domains of which nothing is known but the domain: the shares of the classes
// differ from domain to domain, what a class looks like does not (latent label shift). It must not know of networks, files or tasks:
// it is given what a network says of each example, or a table of counts.
//
//	found, err := discover.Find(ctx, discover.Samples{Posterior: p, Domain: domains, Names: names}, discover.Config{Classes: 4})
//	label := found.Label[i]                            // of example i, with its domain known
//	shares := found.Model.Prior                        // [K, r]: p(y|d)
//	p, err := found.Model.Posterior(ctx, said)         // [n, K]: p(y|x) of new examples
//
// A perfect discriminator of equally likely domains says q(x) = p(d|x) = sum_y p(d|y) p(y|x), a point of the simplex whose corners
// are the columns p(d|y). Corners are found by cells of similar q, counts of cells by domains and a separable factorization of
// these.
//
// Papers: Roberts, Mani, Garg and Lipton, "Unsupervised learning under latent label shift" (2022), whose way is DDFA; Gillis and
// Vavasis, "Fast and robust recursive algorithms for separable nonnegative matrix factorization" (2014); Guo, Pleiss, Sun and
// Weinberger, "On calibration of modern neural networks" (2017) for the temperature.
package discover
