// Package interval has what verdicts of claims are certain by: intervals of Student's t over paired seeds. It knows nothing of
// claims.
//
//	t := interval.Critical(n - 1)        // of n seeds
//	low, high := value-t*spread, value+t*spread
//	n = interval.Needed(spread, n, margin)
package interval
