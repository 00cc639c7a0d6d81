"""Prepared volumes: what was written comes back, and nothing else passes."""

import numpy as np
import pytest
from codetect_inference.volume import VolumeRefused, open_volume
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.inference.samples import recompressed, sha256, volume_zip

HU = np.random.default_rng(3).integers(-1024, 3000, (5, 40, 30)).astype(np.int16)


@pytest.mark.parametrize("writer", [lambda content: content, recompressed], ids=["stored", "deflated"])
@pytest.mark.parametrize("until_2026", [False, True])
def test_slices_come_back_as_they_were(writer, until_2026: bool) -> None:  # type: ignore[no-untyped-def]
    content = writer(volume_zip(HU, until_2026=until_2026))
    volume = open_volume(content, sha256(content))
    assert (len(volume), volume.rows, volume.columns) == HU.shape
    for index in range(len(HU)):
        found = volume.slice(index)
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, HU[index])
    with pytest.raises(IndexError):
        volume.slice(len(HU))


@settings(max_examples=20, deadline=None)
@given(arrays(np.int16, st.tuples(*[st.integers(1, 9)] * 3), elements=st.integers(-32768, 32767)))
def test_any_shape_and_any_hu_survive(hu: np.ndarray) -> None:
    content = volume_zip(hu)
    volume = open_volume(content, sha256(content))
    np.testing.assert_array_equal(np.stack([volume.slice(index) for index in range(len(volume))]), hu)


def test_a_changed_byte_is_refused() -> None:
    content = bytearray(volume_zip(HU))
    expected = sha256(bytes(content))
    content[len(content) // 2] ^= 1
    with pytest.raises(VolumeRefused, match="SHA-256"):
        open_volume(bytes(content), expected)


@pytest.mark.parametrize("content", [b"", b"not a zip", volume_zip(HU, name="other"), volume_zip(HU.astype(np.int32))])
def test_something_else_is_refused(content: bytes) -> None:
    with pytest.raises(VolumeRefused):
        open_volume(content, sha256(content))
