// Package vit is the body of the vision transformer (Dosovitskiy et al. 2021): an image is cut into square patches, each of which
// becomes a token by a linear map; a class token goes before them, each place has a learned vector, and blocks of bidirectional
// attention and MLP follow, each behind a layer norm. The class token's state, normalised once more, is what a classifier reads.
// Names are those of Hugging Face's ViTForImageClassification, but for the attention's.
//
//	body := vit.DefaultBody()
//	network := model.Images{Body: body, Picture: model.Picture{Channels: 3, Height: 224, Width: 224}, Classes: 10}
package vit
