// Package convert turns a trained model into one with another kind of attention, whose weights are factors of the old
// ones, to be fine-tuned. It knows checkpoints, data and factorizations; it must not know how a layer is computed, nor
// any command-line flag.
//
//	parent, err := train.Open("runs/quickstart", false, model.Options{})
//	mfa, err := convert.ToMFA(ctx, parent, parent.Config, convert.Sizes{HeadDim: 64})
//	fmt.Println(mfa.Before.Loss, mfa.After.Loss)
//	err = mfa.Write("converted")
//
// Papers: Hu et al., "Multi-matrix Factorization Attention" (2024), whose view of attention as bilinear forms that share
// a key and a value space says what to factorize; Eckart and Young (1936) for how.
package convert
