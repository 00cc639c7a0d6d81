"""The object store: S3 through the minio client, in threads, with presigned POST policies for uploads."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeVar

import urllib3
from minio import Minio
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from codetect_shared.settings import ServiceSettings
from codetect_shared.threads import in_thread

T = TypeVar("T")
PIECE = 2**20
Bucket = Literal["raw", "studies", "results", "models"]


class StorageUnavailable(OSError):
    """The object store did not answer, or not as it should; nothing was kept."""


class ObjectMissing(Exception):
    """The object store holds no such object (or another version of it)."""


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it; size in bytes."""

    key: str
    etag: str
    size: int


class Storage:
    """Objects in the buckets `raw`, `studies`, `results`, `models` (prefixed by setting)."""

    def __init__(self, settings: ServiceSettings, connections: int = 16) -> None:
        self._prefix = settings.storage_bucket_prefix
        retries = urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504])
        pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=30), maxsize=connections, retries=retries)
        self._client = _client(settings, str(settings.storage_url), pool)
        self._public = _client(settings, str(settings.storage_public_url), pool)
        self._public_url = str(settings.storage_public_url).rstrip("/")
        self._slots = asyncio.Semaphore(connections)

    def bucket(self, name: Bucket) -> str:
        """The bucket's name in the store."""
        return self._prefix + name

    def presign_post(
        self, bucket: Bucket, prefix: str, max_bytes: int, expires_at: datetime
    ) -> tuple[str, dict[str, str]]:
        """URL and form fields to post any number of files of 1 to `max_bytes` bytes under a key prefix (no network)."""
        policy = PostPolicy(self.bucket(bucket), expires_at)
        policy.add_starts_with_condition("key", prefix)
        policy.add_content_length_range_condition(1, max_bytes)
        return f"{self._public_url}/{self.bucket(bucket)}", self._public.presigned_post_policy(policy)

    async def list(
        self, bucket: Bucket, prefix: str, *, after: str | None = None, most: int | None = None
    ) -> list[Listed]:
        """All objects below a prefix, by key; of those whose key comes `after` that one, `most` at most."""

        def listing() -> list[Listed]:
            found = self._client.list_objects(self.bucket(bucket), prefix=prefix, recursive=True, start_after=after)
            some = itertools.islice((o for o in found if not o.is_dir), most)
            return [Listed(o.object_name or "", (o.etag or "").strip('"'), o.size or 0) for o in some]

        return await self._call(listing)

    async def get(self, bucket: Bucket, key: str, *, etag: str | None = None, part: tuple[int, int] = (0, 0)) -> bytes:
        """An object's bytes, whole or `part` (offset, length). ObjectMissing: gone or, with `etag`, another one."""

        def read() -> bytes:
            headers: dict[str, Any] | None = {"If-Match": f'"{etag}"'} if etag else None
            response = self._client.get_object(self.bucket(bucket), key, *part, request_headers=headers)
            try:
                body: bytes = response.read()
            finally:
                response.close()
                response.release_conn()
            if len(body) != int(response.headers.get("Content-Length", len(body))):
                raise StorageUnavailable(f"{key}: the answer was cut short")
            return body

        return await self._call(read)

    async def get_file(self, bucket: Bucket, key: str, path: Path, *, etag: str | None = None) -> None:
        """Write an object's bytes to a file, never holding them all. Raises ObjectMissing as `get` does."""

        def read() -> None:
            headers: dict[str, Any] | None = {"If-Match": f'"{etag}"'} if etag else None
            response = self._client.get_object(self.bucket(bucket), key, request_headers=headers)
            try:
                with path.open("wb") as file:
                    for piece in response.stream(PIECE):
                        file.write(piece)
            finally:
                response.close()
                response.release_conn()
            if path.stat().st_size != int(response.headers.get("Content-Length", path.stat().st_size)):
                raise StorageUnavailable(f"{key}: the answer was cut short")

        await self._call(read, in_thread)

    async def put(self, bucket: Bucket, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object whole, replacing one of the same key."""
        await self._call(
            lambda: self._client.put_object(self.bucket(bucket), key, BytesIO(body), len(body), content_type)
        )

    async def put_file(
        self, bucket: Bucket, key: str, path: Path, content_type: str = "application/octet-stream"
    ) -> None:
        """Write an object from a file, in parts when it is large."""
        await self._call(lambda: self._client.fput_object(self.bucket(bucket), key, str(path), content_type), in_thread)

    async def remove(self, bucket: Bucket, keys: Iterable[str]) -> None:
        """Remove objects; those that are gone already do not matter."""

        def removing() -> None:
            errors = list(self._client.remove_objects(self.bucket(bucket), [DeleteObject(key) for key in keys]))
            if errors:
                raise StorageUnavailable(str(errors[0]))

        await self._call(removing)

    async def erase(self, bucket: Bucket, prefix: str) -> int:
        """Remove everything below a prefix, parts of objects that were never finished too; return how many objects."""
        found = await self.list(bucket, prefix)
        if found:
            await self.remove(bucket, [one.key for one in found])

        def abandon() -> None:
            name = self.bucket(bucket)
            unfinished = self._client._list_multipart_uploads(name, prefix=prefix)
            for upload in unfinished.uploads:
                self._client._abort_multipart_upload(name, upload.object_name, upload.upload_id or "")

        await self._call(abandon)
        return len(found)

    async def ping(self) -> None:
        """Raise when the store does not answer or a bucket is missing."""
        if not await self._call(lambda: self._client.bucket_exists(self.bucket("raw"))):
            raise StorageUnavailable(f"bucket {self.bucket('raw')} is missing")

    async def _call(
        self, call: Callable[[], T], run: Callable[[Callable[[], T]], Awaitable[T]] = asyncio.to_thread
    ) -> T:
        async with self._slots:
            try:
                return await run(call)
            except S3Error as error:
                if error.code in ("NoSuchKey", "PreconditionFailed"):
                    raise ObjectMissing(error.object_name or "") from error
                raise StorageUnavailable(f"{error.code}: {error.message}") from error
            except (MinioException, urllib3.exceptions.HTTPError, ValueError) as error:
                raise StorageUnavailable(repr(error)) from error


def _client(settings: ServiceSettings, url: str, pool: urllib3.PoolManager) -> Minio:
    scheme, _, rest = url.rstrip("/").partition("://")
    return Minio(
        endpoint=rest,
        access_key=settings.storage_access_key,
        secret_key=settings.storage_secret_key.get_secret_value(),
        secure=scheme == "https",
        region=settings.storage_region,
        http_client=pool,
    )
