"""The four buckets, encrypted, with the rules that both SeaweedFS and MinIO understand."""

from urllib.parse import urlsplit

from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.sseconfig import Rule as SSERule
from minio.sseconfig import SSEConfig

NAMES = ("raw", "studies", "results", "models")
RAW_DAYS = 2


def client(url: str, access_key: str, secret_key: str) -> Minio:
    """A client that asks no server for its region."""
    parts = urlsplit(url)
    return Minio(parts.netloc, access_key, secret_key, secure=parts.scheme == "https", region="us-east-1")


def ensure(store: Minio, prefix: str) -> None:
    """Make what is missing; raw objects go after two days even if nobody deletes them."""
    for name in NAMES:
        bucket = prefix + name
        if not store.bucket_exists(bucket):
            store.make_bucket(bucket)
        store.set_bucket_encryption(bucket, SSEConfig(SSERule.new_sse_s3_rule()))
    rule = Rule(status=ENABLED, rule_filter=Filter(prefix=""), rule_id="raw", expiration=Expiration(days=RAW_DAYS))
    store.set_bucket_lifecycle(f"{prefix}raw", LifecycleConfig([rule]))


def remove(store: Minio, prefix: str) -> None:
    """Buckets with all they hold."""
    for name in NAMES:
        if store.bucket_exists(prefix + name):
            for item in store.list_objects(prefix + name, recursive=True):
                store.remove_object(prefix + name, item.object_name)
            store.remove_bucket(prefix + name)
