// Package report explains a compression by one HTML file: what became of each layer, its spectrum, and what other budgets
// would cost. It must not know how a compression is made.
//
//	path, err := report.Write("runs/small", "") // runs/small/report.html
package report
