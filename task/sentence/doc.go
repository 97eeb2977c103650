// Package sentence is the task of sentence encoders: a vector for each text, by which texts are compared (Reimers and Gurevych
// 2019). It measures pairs of texts by the cosine of their vectors.
package sentence
