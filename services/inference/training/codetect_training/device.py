"""Where training computes: an NVIDIA GPU where there is one, otherwise the CPU."""

from __future__ import annotations

import torch


def choose(threads: int) -> None:
    """From here on, new tensors and modules are made where training computes."""
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.set_default_device("cuda")  # cuDNN isn't told to try its ways out: a minute before the first step


def on_gpu() -> bool:
    """Whether that is a GPU."""
    return torch.get_default_device().type == "cuda"


def name() -> str:
    """What it is called."""
    return torch.cuda.get_device_name() if on_gpu() else "CPU"


def half() -> torch.autocast:
    """Within it, a GPU multiplies in bfloat16; a CPU computes as it is told."""
    return torch.autocast("cuda" if on_gpu() else "cpu", torch.bfloat16, enabled=on_gpu())


def chunk() -> int:
    """How many images to look at in one go."""
    return 128 if on_gpu() else 16
