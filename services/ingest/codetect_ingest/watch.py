"""One thread that kills what takes too long, for as many children as there are; it sleeps while none is at work."""

import contextlib
import math
import threading
import time
from collections.abc import Callable


class Watch:
    """Calls what is given when its time is over, unless it is done before."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None
        self._closed = False

    def begin(self, who: object, seconds: float, kill: Callable[[], None]) -> None:
        """Give somebody so many seconds."""
        at = time.monotonic() + seconds
        with self._changed:
            self._due[who] = at, kill
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="codetect-watch", daemon=True)
                self._thread.start()
            elif at < self._wakes_at:  # seldom: those who come later have later times
                self._changed.notify()

    def end(self, who: object) -> bool:
        """Return whether it was done in time."""
        with self._changed:
            return self._due.pop(who, None) is not None

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                late = [who for who, (at, _) in self._due.items() if at <= now]
                for who in late:
                    with contextlib.suppress(Exception):  # whatever it is, the others are watched on
                        self._due.pop(who)[1]()
                self._wakes_at = min((at for at, _ in self._due.values()), default=math.inf)
                self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)
