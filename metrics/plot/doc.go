// Package plot draws the loss of a run. It knows records and nothing of what is trained; it is apart because it is the one
// that needs a library for drawing.
//
//	records, err := metrics.Read("metrics.csv")
//	if err != nil {
//		return err
//	}
//	return plot.WriteLoss("loss.svg", "my run", records)
package plot
