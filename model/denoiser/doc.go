// Package denoiser is a diffusion transformer: it sees a picture with noise of a known deviation and says what the noise is. Patches
// become tokens; blocks of windowed or factorized attention and an MLP with a depthwise convolution are told the deviation by adaptive
// norms (Peebles and Xie, "Scalable Diffusion Models with Transformers", 2023).
//
//	c: MLP(sin, cos of 16 frequencies of log(sigma) / 4)
//	block: x = x + gate(c) attention(scale(c), shift(c) of LN(x)); x = x + gate(c) MLP(scale(c), shift(c) of LN(x))
//	noise = sigma/(sigma² + v) y + out(x), v the variance of clean pictures
//
// The first term of the noise is the best linear guess, so training starts from it: gates and what makes the output start at zero.
//
//	body := denoiser.DefaultBody()
//	network := denoiser.Network{Body: body}
package denoiser
