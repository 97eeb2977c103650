// Package vision is the task of a classifier of images, with pictures of what its network sees and measurements on spoilt images
// (Qin et al. 2023 for the network, FaViT). It knows no other task.
package vision
