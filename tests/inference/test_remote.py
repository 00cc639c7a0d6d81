"""One slice of a stored volume is read in parts, and is the same slice."""

import numpy as np
import pytest
from codetect_inference.remote import read_slice

from tests.inference.conftest import lung, read
from tests.inference.samples import recompressed, volume_zip


@pytest.mark.parametrize("writer", [lambda content: content, recompressed], ids=["stored", "deflated"])
async def test_a_slice_costs_a_small_part_of_the_volume(writer) -> None:  # type: ignore[no-untyped-def]
    hu = np.concatenate([read(lung(6))] * 4)
    content = writer(volume_zip(hu))
    asked = []

    async def get(offset: int, length: int) -> bytes:
        assert offset >= 0
        assert offset + length <= len(content)
        asked.append(length)
        return content[offset : offset + length]

    for index in (0, 11, 23):
        asked.clear()
        assert np.array_equal(await read_slice(get, len(content), len(hu), index), hu[index])
        assert len(asked) == 4
        assert sum(asked) < len(content) / 10


async def test_a_volume_of_one_slice_works_too() -> None:
    hu = read(lung(1))
    content = volume_zip(hu)

    async def get(offset: int, length: int) -> bytes:
        return content[offset : offset + length]

    assert np.array_equal(await read_slice(get, len(content), 1, 0), hu[0])
