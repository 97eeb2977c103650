// Package cubes reads pictures of many bands, as imaging spectrometers make them, and prepares them to be learned from: files of
// MATLAB (version 5), of numpy and of ENVI, cubes that are made up, and the noise and eigenimages of a cube. It must not know of
// networks or of how a cube is restored.
//
//	c, err := cubes.Open("jasper.mat", cubes.Options{}) // [Height, Width, Bands], values as the file has them
//	scaled, range := c.Scaled()                         // to [0, 1], without outliers
//	sigma, err := cubes.Noise(ctx, scaled)              // of each band, from the cube alone
//
// Readers trust nothing: what a file claims is held against what it has before memory is taken, and an error names the byte or the
// band.
package cubes
