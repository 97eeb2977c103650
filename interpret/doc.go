// Package interpret looks inside trained transformers: it writes what their MLPs hold as sums of few features, says what each
// feature stands for, measures whether adding it changes what the model writes, and finds how much of it to add. It knows neither
// flags nor terminals, and a features folder is no model.
//
//	cfg, err := interpret.Load("configs/interpret.toml", nil)
//	folder, err := interpret.Fit(ctx, "runs/quickstart", cfg, "runs/features", os.Stderr)
//	folder, err := interpret.Open("runs/features")
//	steering, err := folder.Steer(ctx, model, interpret.Choice{Layer: 2, Feature: 7}, 0.25)
//
// Papers: Shafran, Geiger and Geva, "Decomposing MLP activations into interpretable features via semi-nonnegative matrix
// factorization" (2025); Gao et al., "Scaling and evaluating sparse autoencoders" (TopK, 2024).
package interpret
