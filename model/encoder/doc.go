// Package encoder is the body of BERT, after Devlin and others (2018): embeddings of token, position and token type, then blocks of bidirectional
// attention and MLP, each followed by a layer norm (post-norm, Vaswani et al. 2017, section 3.1); then a pooler over the first
// token and a linear classifier or, as a [model.Sequence], the head of a masked language model. Names are those of Hugging
// Face's BertForSequenceClassification and BertForMaskedLM.
//
// Unlike BERT's, its dropout leaves the attention's probabilities alone.
//
//	body := encoder.Default()
//	network := model.Labels{Body: body, Text: model.Text{Vocab: 30522, Length: 128, Types: model.TokenTypes}, Classes: 2}
package encoder
