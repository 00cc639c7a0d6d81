"""Files that are whole or not there: what isn't finished never has its final name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO


@contextmanager
def whole(target: Path) -> Iterator[IO[bytes]]:
    """A file to write, which becomes `target` when nothing went wrong. Raises OSError."""
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.replace(file.name, target)
        except BaseException:
            os.unlink(file.name)
            raise
