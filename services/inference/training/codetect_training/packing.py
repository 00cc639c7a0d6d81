"""From a model and what is said of it to a bundle's files, these into a folder, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from codetect_inference.bundle import MANIFEST, MODEL, BundleRefused, LoadedBundle, open_folder
from codetect_inference.signature import SIGNATURE


def pack(model: onnx.ModelProto, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The files by name; bundle.json names the model's hash and size."""
    content = model.SerializeToString(deterministic=True)
    files = {MODEL: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    return {MODEL: content, MANIFEST: written({**manifest, "files": files})}


def written(manifest: Mapping[str, Any]) -> bytes:
    """bundle.json."""
    return (json.dumps(manifest, indent=2) + "\n").encode()


def unsigned(folder: Path) -> Path:
    """A bundle's folder, which needn't be there. Raises SystemExit for one that is signed: somebody may run it."""
    if (folder / SIGNATURE).exists():
        raise SystemExit(f"{folder} is signed, so it stays as it is: choose another folder, or raise VERSION")
    return folder


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle, never over a signed one; bundle.json last: without it there is no bundle."""
    unsigned(folder).mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == MANIFEST):
        (folder / name).write_bytes(files[name])


def open_given(folder: Path) -> LoadedBundle:
    """The bundle in a folder that somebody named; what is wrong with it is said in a sentence."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} isn't a folder: give one with {MANIFEST} and {MODEL}")
    try:
        return open_folder(folder)
    except (BundleRefused, OSError) as error:
        raise SystemExit(f"{folder} can't be used: {error}") from None
