"""`khung serve` as processes: its workers, and the connections that lie in each."""

import contextlib
import http.client

import httpx
import psutil

from tests.support.patience import until


def answers(address, path="/health", **headers):
    try:
        return httpx.get(address + path, timeout=30, headers=headers).status_code
    except httpx.TransportError:
        return 0


def workers_of(process):
    """Pids of the workers that live."""
    found = set()
    for child in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie, or gone meanwhile
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def connections_of(pid, port):
    with contextlib.suppress(psutil.NoSuchProcess):
        mine = psutil.Process(pid).net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in mine)
    return 0


def opened(port, number):
    """So many connections that stay open, one after the other."""
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=90) for _ in range(number)]
    for client in clients:
        client.request("GET", "/health")
        assert client.getresponse().read() == b'{"status":"ok"}'
    return clients


def one_in_each(process, port):
    """A connection to each of two workers, which are ready then; none when they lie otherwise."""
    until(lambda: not any(connections_of(pid, port) for pid in workers_of(process)))
    clients = opened(port, 2)
    if [connections_of(pid, port) for pid in workers_of(process)] == [1, 1]:
        return clients
    for client in clients:
        client.close()
    return []


def takes_by_all(process, port):
    clients = one_in_each(process, port)
    for client in clients:
        client.close()
    return bool(clients)
