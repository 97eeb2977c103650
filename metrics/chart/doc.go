// Package chart draws lines, points and bars as SVG with the standard library alone: each line has a colour, a mark and dashes of its
// own, apart also for those who do not see colours, and the legend stands beside the picture. It knows numbers and names, and not what
// they measure.
//
//	err := chart.Chart{Title: "Loss over size", XLabel: "MB", YLabel: "loss", Lines: lines}.Write(w)
package chart
