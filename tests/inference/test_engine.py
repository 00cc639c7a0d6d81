"""The engine gives the same answers however it is asked, uses what it says, and refuses what it can't use."""

import threading
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from codetect_inference import engine
from codetect_inference.bundle import LoadedBundle, open_bundle, open_folder
from codetect_inference.engine import Engine, ProviderUnavailable, Way, providers, session_options
from codetect_inference.preprocess import plan_series, prepare_batch

from tests.inference.samples import BUNDLE, bundle_files, data, read_slice, tiny_model

RANDOM = np.random.default_rng(11)


@pytest.fixture(scope="module")
def tiny() -> LoadedBundle:
    return open_bundle(bundle_files())


@pytest.fixture(scope="module")
def shipped() -> LoadedBundle:
    return open_folder(BUNDLE)


def images(count: int, side: int = 32) -> np.ndarray:
    return RANDOM.random((count, 1, side, side), np.float32)


def test_auto_uses_what_is_there_and_says_so(tiny: LoadedBundle) -> None:
    engine = Engine(tiny)
    assert engine.provider == ("cuda" if "CUDAExecutionProvider" in ort.get_available_providers() else "cpu")


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="this machine has CUDA")
@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_a_gpu_that_is_not_there_stops_the_start_in_words(tiny: LoadedBundle, wanted: str) -> None:
    with pytest.raises(ProviderUnavailable, match=f"{wanted}.*onnxruntime-gpu"):
        Engine(tiny, wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_any_number_of_images_comes_back_in_order(tiny: LoadedBundle, count: int) -> None:
    engine = Engine(tiny, "cpu", Way(2))
    given = images(count)
    logits, cams, _ = engine.run(given)
    np.testing.assert_allclose(logits, given.mean((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(cams[:, :, 0, 0], given.mean((2, 3)), rtol=1e-5)


@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_a_gpus_fixed_batches_are_filled_up_and_cut_again(tiny: LoadedBundle, count: int) -> None:
    """The same I/O binding as on a GPU, on the provider that is here."""
    engine = Engine(tiny, "cpu")
    given = images(count)
    logits, cams, _ = engine.run_filled(4, given)
    np.testing.assert_allclose(logits, given.mean((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(cams[:, :, 0, 0], given.mean((2, 3)), rtol=1e-5)


@pytest.mark.parametrize(("library", "first"), [("libc.so.6", "tensorrt"), ("libnot-here.so.10", "cuda")])
def test_auto_tries_tensorrt_only_where_its_library_is(
    monkeypatch: pytest.MonkeyPatch, library: str, first: str
) -> None:
    """ONNX Runtime would say an error loudly and build the session twice."""
    tried = []

    class Session:
        def __init__(self, _: bytes, __: object, asked: list[tuple[str, object]]) -> None:
            tried.append(asked[0][0])

        def get_providers(self) -> list[str]:
            return [tried[-1]]

    monkeypatch.setattr(engine, "TENSORRT", library)
    monkeypatch.setattr(engine.ort, "get_available_providers", lambda: list(engine.PROVIDERS.values()))
    monkeypatch.setattr(engine.ort, "InferenceSession", Session)
    assert engine.open_session(tiny_model().SerializeToString(), "auto")[1] == first
    assert tried == [engine.PROVIDERS[first]]


def test_tensorrt_keeps_its_engines_and_leaves_the_rest_to_cuda(tmp_path: Path) -> None:
    (first, options), (second, _) = providers("tensorrt", half=True, cache=tmp_path)
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert (options["trt_fp16_enable"], options["trt_engine_cache_path"]) == ("1", str(tmp_path))
    assert providers("tensorrt", half=False)[0][1] == {"trt_fp16_enable": "0"}


def test_map_keeps_the_order_and_reads_only_a_little_ahead(tiny: LoadedBundle) -> None:
    engine = Engine(tiny, "cpu", Way(2))
    taken = []

    def batches():
        for number in range(30):
            taken.append(number)
            yield np.full((2, 1, 32, 32), number, np.float32)

    for number, (logits, _, _) in enumerate(engine.map(batches())):
        np.testing.assert_allclose(logits, number)
        assert len(taken) <= number + 6
    assert len(taken) == 30


def test_a_model_that_tells_what_is_unlike_is_heard() -> None:
    files = bundle_files(tiny_model(distance=True), outliers={"threshold": 0.5, "how": "grey"})
    engine = Engine(open_bundle(files), "cpu")
    given = images(6)
    for outputs in (engine.run(given), engine.run_filled(4, given)):
        assert outputs.distances is not None
        np.testing.assert_allclose(outputs.distances, given.mean((1, 2, 3)), rtol=1e-5)


def test_warming_up_leaves_no_thread_behind(tiny: LoadedBundle) -> None:
    before = threading.active_count()
    Engine(tiny, "cpu", Way(2)).warm_up()
    assert threading.active_count() == before


def test_the_shipped_model_answers_alike_alone_and_in_a_batch(shipped: LoadedBundle) -> None:
    engine = Engine(shipped, "cpu")
    given = images(3, engine.side)
    logits, cams, _ = engine.run(given)
    assert logits.shape == (3, engine.labels)
    assert cams.shape == (3, engine.labels, engine.side // 32, engine.side // 32)
    single = np.concatenate([engine.run(given[at : at + 1])[0] for at in range(3)])
    np.testing.assert_allclose(single, logits, atol=1e-3)


def test_the_shipped_models_maps_add_up_to_its_logits(shipped: LoadedBundle) -> None:
    engine = Engine(shipped, "cpu")
    logits, cams, _ = engine.run(images(4, engine.side))
    bias = logits - cams.mean((2, 3))
    np.testing.assert_allclose(bias, np.broadcast_to(bias[:1], bias.shape), atol=1e-3)
    assert np.ptp(cams) > 0


def test_folding_the_stored_weights_changes_no_answer(shipped: LoadedBundle) -> None:
    given = images(2, shipped.manifest.preprocessing.side)
    unfolded = ort.InferenceSession(shipped.model, providers=["CPUExecutionProvider"])
    folded = ort.InferenceSession(shipped.model, session_options("cpu"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(
        folded.run(["logits"], {"image": given})[0], unfolded.run(["logits"], {"image": given})[0], atol=0.02
    )


def test_the_shipped_model_does_not_hang_on_the_window(shipped: LoadedBundle) -> None:
    """Each image is standardised inside the model, so a brighter or flatter look of a slice gives the same answer."""
    hu = read_slice(data("dicom", "transfer-syntaxes", "CT1_J2KR"))
    how = shipped.manifest.preprocessing
    batch = prepare_batch([hu], plan_series(1, lambda _: hu, how.margin).box, how)
    engine = Engine(shipped, "cpu")
    usual, flat = (engine.run(np.ascontiguousarray(look))[0] for look in (batch, batch * 0.5 + 0.2))
    np.testing.assert_allclose(usual, flat, atol=0.1)
