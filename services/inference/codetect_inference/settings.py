"""Settings of the inference service and its worker."""

from pathlib import Path
from typing import Literal

from codetect_shared.settings import ServiceSettings
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from codetect_inference.signature import Keys, read_keys, shipped_keys

Provider = Literal["auto", "cuda", "tensorrt", "cpu"]


class Settings(ServiceSettings):
    """The API process."""

    model_config = SettingsConfigDict(env_prefix="CODETECT_INFERENCE_")

    port: int = Field(8103, description="Port the process listens on.")
    bundle_max_bytes: int = Field(256 * 2**20, description="Largest model bundle taken, zipped and unzipped.")
    model_keys: str = Field(
        "", description="Public keys (PEM, one after the other) whose signatures of model bundles are trusted."
    )
    model_keys_shipped: bool = Field(True, description="Trust the key that signs the models of CoDetect's repository.")
    trial_timeout_s: int = Field(60, ge=1, description="How long a model's trial run may take before it is refused.")
    second_reads: float = Field(
        0.1, ge=0, le=1, description="Share of agreements with the model that a second reader looks at, too."
    )

    @field_validator("model_keys")
    @classmethod
    def _are_keys(cls, text: str) -> str:
        read_keys(text)
        return text

    @property
    def trusted_keys(self) -> Keys:
        """Whose models may be registered and run."""
        return {**(shipped_keys() if self.model_keys_shipped else {}), **read_keys(self.model_keys)}


class WorkerSettings(Settings):
    """The worker process: what runs the models, and how much it takes in hand."""

    port: int = Field(8113, description="Port of the worker's health and metrics.")
    provider: Provider = Field(
        "auto", description="ONNX Runtime's execution provider; one that is missing stops the start."
    )
    threads: int = Field(
        0,
        ge=0,
        description="Runs side by side on a CPU, one thread each; 0: what is fastest, found when a model is loaded.",
    )
    batch: int = Field(0, ge=0, description="Slices a run takes; 0: 32 on a GPU, on a CPU what is fastest.")
    tune_s: float = Field(
        2,
        ge=0,
        le=60,
        description="Seconds to find what is fastest on a CPU, once for each model and machine; 0: don't measure.",
    )
    half: bool = Field(True, description="Compute in fp16 on a GPU.")
    jobs_in_hand: int = Field(
        2,
        ge=1,
        le=8,
        description="Analyses at once: one is read and prepared while another runs. One more for urgent ones.",
    )
    models_loaded: int = Field(4, ge=1, description="Models kept in memory; the one longest unused goes first.")
    parametric_maps: bool = Field(
        True, description="Heatmaps as DICOM Parametric Maps, too: 1 KB and 0.5 ms for each slice and label."
    )
    model_cache: Path = Field(
        Path("~/.cache/codetect/models"), description="Folder for bundles fetched from the object store."
    )
