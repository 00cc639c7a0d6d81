"""Files that are whole or not there: what isn't finished never has its final name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO


@contextmanager
def whole(target: Path) -> Iterator[IO[bytes]]:
    """A file to write, which becomes `target` when nothing went wrong; a pipe stays one. Raises OSError."""
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    target = target.resolve()  # what a link leads to is replaced, not the link
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as draft:
        try:
            yield draft
            draft.flush()
            os.replace(draft.name, target)
        except BaseException:
            os.unlink(draft.name)
            raise
