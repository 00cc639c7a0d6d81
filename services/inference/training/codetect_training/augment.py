"""Random looks of a batch: figures cut from papers (any window, crop, JPEG, arrows) and slices straight from HU."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def uniform(count: int, low: float, high: float) -> Tensor:
    """Random numbers shaped for a batch of images, (count, 1, 1, 1)."""
    return torch.empty(count, 1, 1, 1).uniform_(low, high)


ZOOM, SHIFT = (0.72, 1.12), 0.1  # how much of a side is seen, how far from its middle


def augment(images: Tensor, side: int, zoom: tuple[float, float] = ZOOM, shift: float = SHIFT) -> Tensor:
    """Images (N, 1, S, S) in 0..1 -> (N, 1, side, side) in 0..1, each turned, cropped and windowed at random."""
    images = warp(images, side, zoom, shift)
    images = window(images)
    return spoil(images).clamp(0, 1)


def warp(images: Tensor, side: int, zooms: tuple[float, float], shifts: float) -> Tensor:
    """Turn, scale, shift, squeeze and mirror; what comes from outside the image gets one random shade of air."""
    count = len(images)
    angle = torch.empty(count).uniform_(-12, 12) * math.pi / 180
    zoom = torch.empty(count).uniform_(*zooms)
    squeeze = torch.empty(count).uniform_(-0.15, 0.15).exp()
    mirror = torch.randint(0, 2, (count,)) * 2.0 - 1
    shift = torch.empty(2, count).uniform_(-shifts, shifts)
    air = uniform(count, 0, 0.3)
    return turned(images - air, side, angle, mirror * zoom * squeeze, zoom / squeeze, shift) + air


def turned(images: Tensor, side: int, angle: Tensor, across: Tensor, down: Tensor, shift: Tensor) -> Tensor:
    """Views (N, 1, side, side): turned by `angle` (N,), scaled across and down (N,), shifted (2, N); outside is 0."""
    rows = [
        torch.stack([across * angle.cos(), -down * angle.sin(), shift[0]], 1),
        torch.stack([across * angle.sin(), down * angle.cos(), shift[1]], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), [len(images), 1, side, side], align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def window(images: Tensor) -> Tensor:
    """Another window and gamma: papers rarely say theirs, the service's is level -600, width 1500."""
    count = len(images)
    low, high = uniform(count, -0.2, 0.15), uniform(count, 0.8, 1.25)
    images = ((images - low) / (high - low)).clamp(0, 1)
    return images ** uniform(count, -0.45, 0.45).exp()


def spoil(images: Tensor) -> Tensor:
    """Noise of a thin slice, softness of a thick or shrunken one, patches as arrows and letters leave them."""
    count, _, side, _ = images.shape
    if torch.rand(()) < 0.5:
        small = max(32, int(side * torch.empty(()).uniform_(0.4, 0.9)))
        soft = functional.interpolate(images, size=small, mode="bilinear", antialias=True)
        soft = functional.interpolate(soft, size=side, mode="bilinear")
        images = torch.where(uniform(count, 0, 1) < 0.5, soft, images)
    images = images + torch.randn_like(images) * uniform(count, 0, 0.06)
    place = torch.arange(side) / side
    for _ in range(2):
        middle, half = uniform(2 * count, 0, 1).view(2, count, 1), uniform(2 * count, 0, 0.12).view(2, count, 1)
        inside = (place - middle).abs() < half
        images = torch.where((inside[0, :, :, None] & inside[1, :, None, :])[:, None], uniform(count, 0, 1), images)
    return images
