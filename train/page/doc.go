// Package page writes the HTML page of a training run: its curves, its sample and its config, in one file that needs no network. It
// knows records of metrics and texts, and nothing of models.
//
//	err := page.Write("runs/a/report.html", page.Run{Name: "a", Status: "step 10 of 20", Records: records, Config: text})
package page
