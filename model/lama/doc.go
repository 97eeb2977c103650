// Package lama classifies texts by the states of a bidirectional GRU, pooled by low-rank
// multi-head attention (Mehta, Rangwala and Ramakrishnan 2019) or by one of the
// attentions that it is compared with:
//
//	x_t = E[w_t],  h_t = [forward GRU; reverse GRU](x)_t
//	s = pooling(h_1 .. h_T),  scores = MLP(s)
//
// Parameters: model.embed_tokens.weight [V, E], model.gru.* (see nn.GRU),
// model.pooling.* (see attention.LAMA), classifier.dense [F, S] where
// classifier_hidden F > 0, and classifier.out [C, S or F], both with a bias. Embeddings
// start from a normal distribution with deviation 0.1, the classifier within
// 1/sqrt(inputs). The tap "model.pooling.weights" [B*T, M] is the attention.
//
//	body := lama.DefaultBody()
//	network := model.Labels{Body: body, Text: model.Text{Vocab: 5000, Length: 400}, Classes: 2}
package lama
