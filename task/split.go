package task

// Part is a split; test is nil if the data has none. or is what else helps then.
func Part[T any](s Split, train, validation, test *T, or string) (*T, error) {
	all := map[Split]*T{Training: train, Validation: validation, Test: test}
	if all[s] == nil {
		return nil, Refusef("--split %s: [data] has no %s split; want --split validation%s", s, s, or)
	}
	return all[s], nil
}
