// Package denoise is the task of a diffusion transformer: to tell noise of a given deviation from pictures of cubes, photographs or
// digits. What it learned is a prior for restoration, and draws pictures.
package denoise
