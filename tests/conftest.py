"""Fixtures that more than one room uses: the clips, a home of its own for each test, the model files."""

import gc
import logging
import os
from pathlib import Path

import hypothesis
import pytest

# A shared machine is slow at times: how long an example takes is measured in bench/, never asserted here.
hypothesis.settings.register_profile("khung", deadline=None)
hypothesis.settings.load_profile("khung")

REPO = Path(__file__).parent.parent
CLIPS = REPO / "tests" / "data"


EACH_WANTS = 8 * 2**30
"""Bytes of memory for a process that runs tests: models, and servers of its own."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes where the machine has room for them. Many tests start processes and servers, so that more bring little."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(2, len(os.sched_getaffinity(0)), memory // EACH_WANTS))


@pytest.fixture(scope="module", autouse=True)
def swept():
    """Applications are cycles, and a warmed engine hides what is alive from the collector (Engine.warm): without this the networks of
    a hundred of them would be in memory together."""
    urgency = os.sched_getscheduler(0)
    yield
    gc.unfreeze()
    gc.collect()
    assert os.sched_getscheduler(0) == urgency, "a library made the tests real-time: nothing else runs beside them"


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder with the repository's own clips."""
    return CLIPS


@pytest.fixture(scope="session")
def extra_clips() -> list[Path]:
    """Clips outside the repository (KHUNG_TEST_CLIPS, or a `shared/videos` folder beside the checkout): extra cases, may be empty."""
    folder = Path(os.environ.get("KHUNG_TEST_CLIPS") or REPO.parent / "shared" / "videos")
    return (
        sorted(p for p in folder.glob("*") if p.suffix in {".mp4", ".avi", ".mpg", ".mov"}) if folder.is_dir() else []
    )


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The fetched model files; `make models` puts them there."""
    return Path(os.environ.get("KHUNG_MODELS_DIR") or REPO / ".khung" / "models")


@pytest.fixture(scope="session")
def instance():
    """One Dagster instance for all who need a real one: making it takes seconds. `kitchen_in` sweeps it."""
    import dagster as dg

    with dg.instance_for_test(set_dagster_home=False) as instance:
        yield instance


@pytest.fixture
def khung_log():
    """The lines that khung logs while the test runs, as the service writes them."""
    logger, lines = logging.getLogger("khung"), []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(logger.handlers[0].format(record))

    keep = Keep()
    logger.addHandler(keep)
    yield lines
    logger.removeHandler(keep)
