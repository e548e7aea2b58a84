"""Worker processes: results in order, a device that dies, an item that kills, a child that stalls. Real processes, really killed."""

import os
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from khung.errors import DeviceLost, ItemTooLarge, ModelError, ModelFileMissing
from khung.vision.batches import Strain
from khung.vision.each import each_vector
from khung.vision.fleet import CHUNK, Fleet, FleetEmbedder, visible_devices
from khung.vision.worker import BLOCK, Worker, WorkerLimits
from tests.support import worker_models as models
from tests.support.tiny_models import picture

QUICK = WorkerLimits(stall_s=20, load_s=60)


class _Rows:
    """The fleet's stream, each answer as an array."""

    def __init__(self, fleet: FleetEmbedder) -> None:
        self.fingerprint, self._fleet = fleet.fingerprint, fleet

    def stream_images(self, images):
        return (np.array(row, np.float64) for row in self._fleet.stream_images(images))


@pytest.fixture(scope="module")
def echo():
    with Worker(models.echo, limits=QUICK) as worker:
        yield worker


class TestStream:
    def test_results_come_in_order(self, echo):
        assert list(echo.stream("double", range(1000))) == list(range(0, 2000, 2))

    @pytest.mark.parametrize("number", [0, 1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1])
    def test_any_number_of_items(self, echo, number):
        assert list(echo.stream("double", range(number))) == [2 * n for n in range(number)]

    def test_it_is_another_process_and_the_same_one_each_time(self, echo):
        first, second = (next(iter(echo.stream("process", [0]))) for _ in range(2))
        assert first == second != os.getpid()

    def test_items_are_read_only_as_they_are_wanted(self, echo):
        read = []

        def source():
            for n in range(10_000):
                read.append(n)
                yield n

        stream = echo.stream("slow", source())
        assert [next(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
        assert len(read) < 4 * BLOCK
        stream.close()

    def test_a_stream_that_is_left_early_does_not_disturb_the_next(self, echo):
        stream = echo.stream("slow", range(1000))
        next(stream)
        stream.close()
        assert list(echo.stream("double", range(5))) == [0, 2, 4, 6, 8]
        assert echo.restarts == 0

    def test_large_items_both_ways(self, echo):
        arrays = [np.full((700, 1000, 3), n, np.uint8) for n in range(20)]
        assert [a[0, 0, 0] for a in echo.stream("slow", arrays)] == list(range(20))

    def test_a_source_that_fails_fails_the_stream_alone(self, echo):
        def source():
            yield 1
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            list(echo.stream("double", source()))
        assert list(echo.stream("double", [4])) == [8]


class TestErrors:
    def test_the_models_error_comes_after_the_results_before_it(self, echo):
        found = []
        with pytest.raises(ItemTooLarge, match=r"Item five\. Leave it\."):
            for result in echo.stream("too_large", range(100)):
                found.append(result)
        assert found == [0, 1, 2, 3, 4]
        assert list(echo.stream("double", [1])) == [2]

    def test_a_bug_is_told_with_its_traceback(self, echo):
        with pytest.raises(ModelError, match="ZeroDivisionError"):
            list(echo.stream("bug", range(10)))

    def test_a_missing_answer_is_noticed(self, echo):
        with pytest.raises(ModelError, match="no answer"):
            list(echo.stream("forgets", range(4)))

    def test_what_loading_raised_is_raised_here(self):
        with pytest.raises(ModelFileMissing, match="khung models pull x"):
            Worker(models.missing, limits=QUICK)

    def test_a_child_that_ends_while_loading(self):
        with pytest.raises(DeviceLost, match="exit code 3"):
            Worker(models.ends_while_loading, limits=QUICK)

    def test_a_model_that_never_loads(self):
        with pytest.raises(DeviceLost, match="silent for 2 s"):
            Worker(models.loads_slowly, limits=WorkerLimits(load_s=2))

    def test_the_environment_is_set_before_the_model_is_made(self):
        with Worker(models.echo, {"CUDA_VISIBLE_DEVICES": "7"}, QUICK) as worker:
            assert list(worker.stream("environment", ["CUDA_VISIBLE_DEVICES"])) == ["7"]
        assert os.environ.get("CUDA_VISIBLE_DEVICES") != "7"


class TestDeath:
    @pytest.mark.parametrize("die", [models.lose_device, models.be_killed])
    def test_the_run_resumes_where_it_was(self, tmp_path, die):
        with Worker(partial(models.dies_once, tmp_path, 20, die), limits=QUICK) as worker:
            assert list(worker.stream("double", range(60))) == list(range(0, 120, 2))
            assert worker.restarts == 1
            assert list(worker.stream("double", range(60))) == list(range(0, 120, 2))
            assert worker.restarts == 1

    def test_an_item_that_kills_is_named_and_those_before_it_are_done(self):
        with Worker(partial(models.dies_always, 20, models.be_killed), limits=QUICK) as worker:
            found = []
            with pytest.raises(DeviceLost, match=r"Item 20 ended two worker processes \(exit code -9\)"):
                for result in worker.stream("double", range(60)):
                    found.append(result)
            assert found == list(range(0, 40, 2))
            assert list(worker.stream("double", range(5))) == [0, 2, 4, 6, 8]  # the next stream is not harmed

    def test_a_dead_context_is_told_by_its_name(self):
        make = partial(models.dies_always, 0, models.lose_device)
        with Worker(make, limits=QUICK) as worker, pytest.raises(DeviceLost, match="a dead device context"):
            list(worker.stream("double", [0]))

    def test_a_child_that_stalls_is_replaced(self):
        with Worker(models.echo, limits=WorkerLimits(stall_s=1.5, load_s=60)) as worker:
            found = []
            with pytest.raises(DeviceLost, match=r"Item 4 .*silent for 2 s"):
                for result in worker.stream("hangs", range(8)):
                    found.append(result)
            assert found == [0, 1, 2, 3]

    def test_a_child_killed_between_streams_is_replaced(self):
        with Worker(models.echo, limits=QUICK) as worker:
            (process,) = worker.stream("process", [0])
            os.kill(process, 9)
            time.sleep(0.2)
            assert list(worker.stream("double", range(4))) == [0, 2, 4, 6]

    def test_closing_ends_the_process(self):
        worker = Worker(models.echo, limits=QUICK)
        (process,) = worker.stream("process", [0])
        worker.close()
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


class TestFleet:
    def test_two_workers_share_the_items_and_keep_the_order(self):
        with Worker(models.echo, limits=QUICK) as one, Worker(models.echo, limits=QUICK) as two:
            fleet = Fleet([one, two], chunk=10)
            assert list(fleet.spread("double", range(205))) == [2 * n for n in range(205)]
            assert len(set(fleet.spread("process", range(205)))) == 2
            few = Fleet([one, two])
            assert len(set(few.spread("process", list(range(20))))) == 2, "a part of a video, as the describer gets it"

    def test_one_long_stream_keeps_every_device_busy(self, tmp_path):
        with (
            Worker(partial(models.strained, tmp_path), limits=QUICK) as one,
            Worker(partial(models.strained, tmp_path), limits=QUICK) as two,
        ):
            fleet = FleetEmbedder([one, two])
            found = [vector.tolist() for _, vector in each_vector(range(4 * CHUNK), _Rows(fleet))]
            assert [item for _, item in found] == list(range(4 * CHUNK))
            assert len({process for process, _ in found}) == 2
            assert fleet.strain == Strain(halved=4, shrunk=8)

    def test_what_memory_has_cost_is_told_by_the_workers_dead_ones_included(self, tmp_path):
        with Worker(partial(models.strained, tmp_path), limits=QUICK) as worker:
            list(worker.stream("stream_images", [1, 2]))
            assert worker.strain == Strain(1, 2)
            list(worker.stream("stream_images", [3, -1, 4]))  # the second stream dies and begins anew
            assert worker.restarts == 1 and worker.strain.halved >= 2

    def test_different_models_are_refused(self, echo):
        other = SimpleNamespace(about={"fingerprint": "other", "dim": 1})
        with pytest.raises(ModelError, match="echo, other"):
            Fleet([echo, other])

    def test_devices_are_those_that_this_process_may_use(self, monkeypatch):
        pytest.importorskip("torch")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-ab")
        assert visible_devices() == [{"CUDA_VISIBLE_DEVICES": "2"}, {"CUDA_VISIBLE_DEVICES": "GPU-ab"}]
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        assert visible_devices() and all(isinstance(one, dict) for one in visible_devices())


@pytest.mark.torch
class TestRealModel:
    def test_it_embeds_in_a_worker_as_it_does_here_though_its_device_fails_once(self, tiny, tmp_path):
        images = [picture(seed, 100, 60 + 10 * seed) for seed in range(14)]
        here = models.tiny_embedder(tiny("gme"))
        mark = tmp_path / "lost"
        with Worker(partial(models.tiny_embedder, tiny("gme"), mark), limits=QUICK) as worker:
            there = FleetEmbedder([worker])
            assert (there.fingerprint, there.dim) == (here.fingerprint, here.dim)
            assert np.abs(there.embed_images(images) - here.embed_images(images)).max() < 1e-6
            assert np.abs(there.embed_texts(["chợ", "a street"]) - here.embed_texts(["chợ", "a street"])).max() < 1e-6
            assert there.embed_images([]).shape == (0, 128)
            assert mark.exists() and worker.restarts == 1
