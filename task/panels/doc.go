// Package panels draws what a classifier of images sees, a [task.Picture], as a PNG with titles and a scale. It knows panels and names,
// and no network.
//
//	err := panels.WritePNG(w, "favit: 7, probability 0.98", picture)
package panels
