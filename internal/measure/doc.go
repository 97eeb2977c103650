// Package measure holds what programs that time others share: medians, processes of their own that answer one JSON object a
// line, so that each has a peak of its own, and the memory of this process. It must not know what is measured.
//
//	lane, err := measure.Start(exec.Command(self, "worker"))
//	defer lane.End()
//	err = lane.Ask(request, &answer)
//	fmt.Println(measure.Median(answer.Seconds), measure.PeakBytes())
package measure
