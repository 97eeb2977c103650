"""A picture with noise, the picture, and what PyPI's bm3d 4.0.3 makes of it, as three bands of bm3d.npy; and scikit-image's SSIM of the first
two. bm3d shares no code with this package."""
import bm3d
import numpy as np
from skimage.metrics import structural_similarity

rng = np.random.default_rng(3)
y, x = np.mgrid[0:48, 0:48] / 48
clean = 0.5 + 0.2 * np.sin(9 * x + 4 * y) + 0.25 * ((x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.06) + 0.1 * ((x * 12).astype(int) % 2) * (y > 0.7)
clean = (clean - clean.min()) / (clean.max() - clean.min()) * 0.8 + 0.1
noisy = clean + 0.08 * rng.normal(size=clean.shape)
low, high = noisy.min(), noisy.max()
got = bm3d.bm3d((noisy - low) / (high - low), 0.08 / (high - low)) * (high - low) + low
np.save("bm3d.npy", np.stack([noisy, clean, got], axis=2).astype(np.float32))
a, b = (np.load("bm3d.npy")[:, :, i].astype(float) for i in (0, 1))
a = np.clip(a, 0, 1)
print("SSIM", structural_similarity(b, a, data_range=1), "PSNR of bm3d", -10 * np.log10(np.mean((got - clean) ** 2)))
