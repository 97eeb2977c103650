"""Writes the MAT files of this folder by scipy 1.17 (scipy.io.savemat), which shares no code with the reader."""
import numpy as np
from scipy.io import savemat

y, x, b = np.meshgrid(np.arange(3), np.arange(4), np.arange(5), indexing="ij")
value = 100 * y + 10 * x + b  # row y + 1, column x + 1, band b + 1
extra = {"note": "text", "cells": np.array([[1, "a"]], dtype=object), "few": np.arange(6.0).reshape(2, 3)}
savemat("int16.mat", {"cube": (value - 50).astype(np.int16), **extra}, do_compression=True)
savemat("uint16.mat", {"cube": value.astype(np.uint16), "map": np.zeros((3, 4), np.uint8)})
savemat("double.mat", {"small": np.zeros((2, 2, 2)), "cube": value / 8, "z": 1j * np.ones((9, 9, 9))}, do_compression=True)
savemat("single.mat", {"cube": (value / 4).astype(np.float32)})
flat = value.reshape(12, 5, order="F").T.astype(np.uint16)  # bands x pixels, pixels down the columns
savemat("unrolled.mat", {"nRow": 3, "nCol": 4, "Y": flat, "A": np.zeros((2, 12)), "M": np.ones((5, 2))}, do_compression=True)
np.save("fortran.npy", np.asfortranarray(value.astype(np.float32)))
np.save("big_endian.npy", value.astype(">i4"))
