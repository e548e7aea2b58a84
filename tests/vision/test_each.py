"""One failure costs its own item only, and streams are not broken into parts. Plain models that fail on request."""

import numpy as np
import pytest

from khung.errors import CorruptError, DeviceLost, ModelError, ModelUnavailable
from khung.vision.each import AT_ONCE, each, each_vector


def fails_on(*bad, calls=None, error=ModelError):
    def ask(items):
        if calls is not None:
            calls.append(list(items))
        if set(items) & set(bad):
            raise error(f"{len(items)} items failed")
        return [10 * item for item in items]

    return ask


def plain(results):
    return ["failed" if isinstance(one, ModelError) else one for one in results]


class TestEach:
    def test_only_those_at_fault_stay_without(self):
        found = each(range(10), fails_on(3, 7))
        assert plain(found) == [0, 10, 20, "failed", 40, 50, 60, "failed", 80, 90]
        assert found[3].message == "1 items failed"

    def test_without_a_failure_there_is_one_call(self):
        calls = []
        assert each(range(50), fails_on(calls=calls)) == [10 * n for n in range(50)]
        assert len(calls) == 1
        assert each([], fails_on(calls=calls)) == [] and len(calls) == 1

    def test_a_librarys_own_error_counts_as_one(self):
        (found,) = each([1], fails_on(1, error=RuntimeError))
        assert found.message == "RuntimeError: 1 items failed"

    @pytest.mark.parametrize("error", [DeviceLost, ModelUnavailable, CorruptError])
    def test_what_is_not_the_items_fault_is_raised(self, error):
        with pytest.raises(error):
            each(range(4), fails_on(2, error=error))

    def test_a_model_that_fails_on_everything_is_not_asked_for_ever(self):
        calls = []
        with pytest.raises(ModelError):
            each(range(64), fails_on(*range(64), calls=calls), patience=8)
        assert len(calls) < 30
        assert plain(each(range(64), fails_on(*range(1, 64)), patience=8))[0] == 0


class Streams:
    """An embedder with a stream: reads ahead, answers in batches of four, fails on the images of value 255."""

    fingerprint, dim = "streams", 2

    def __init__(self) -> None:
        self.streams = 0

    def stream_images(self, images):
        self.streams += 1
        batch = []
        for image in images:
            batch.append(image)
            if len(batch) == 4:
                yield from self.embed_images(batch)
                batch = []
        yield from self.embed_images(batch)

    def embed_images(self, images):
        values = [float(image[0, 0, 0]) for image in images]
        if 255.0 in values:
            raise ModelError("white is too bright")
        return np.array([[np.nan if v == 254 else v, 1.0] for v in values], np.float32).reshape(-1, 2)


def images(*values):
    return [np.full((2, 2, 3), value, np.uint8) for value in values]


def firsts(pairs):
    return [None if isinstance(found, ModelError) else float(found[0]) for _, found in pairs]


class TestStream:
    def test_one_stream_whatever_the_number(self):
        model = Streams()
        values = [n % 250 for n in range(3 * AT_ONCE)]
        assert firsts(each_vector(images(*values), model)) == [float(v) for v in values]
        assert model.streams == 1

    def test_it_goes_on_behind_a_failure(self):
        model = Streams()
        values = [*range(10), 255, *range(11, 30), 255, 255, *range(40, 50)]
        pairs = list(each_vector(images(*values), model))
        assert firsts(pairs) == [None if v == 255 else float(v) for v in values]
        assert [int(image[0, 0, 0]) for image, _ in pairs] == values
        assert 2 <= model.streams <= 3

    def test_a_vector_that_is_no_number_is_that_images_failure(self):
        (_, one), (_, other) = each_vector(images(1, 254), Streams())
        assert one.tolist() == [1.0, 1.0] and "not finite" in other.message

    def test_a_model_without_a_stream_gets_parts(self):
        sizes = []

        class Parts:
            fingerprint, dim = "parts", 2

            def embed_images(self, some):
                sizes.append(len(some))
                return np.ones((len(some), 2), np.float32)

        assert len(list(each_vector(images(*[0] * (AT_ONCE + 3)), Parts()))) == AT_ONCE + 3
        assert sizes == [AT_ONCE, 3]

    @pytest.mark.parametrize("streams", [True, False])
    def test_a_file_that_is_no_picture_is_not_the_models_failure(self, streams):
        class Parts:
            fingerprint, dim = "parts", 2

            def embed_images(self, some):
                return np.ones((len(some), 2), np.float32)

        class Decoding(Parts):
            def stream_images(self, some):
                from khung.vision.towers import decoded

                yield from self.embed_images([decoded(one) for one in some])

        with pytest.raises(CorruptError, match="keyframes again"):
            list(each_vector([b"no picture"], Decoding() if streams else Parts()))
