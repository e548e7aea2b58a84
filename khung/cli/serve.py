"""`khung serve`: the search service and its web UI on one port."""

from typing import Annotated

import typer

from khung.cli.show import out
from khung.errors import ConfigError
from khung.settings import settings


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on, else KHUNG_HOST; 0.0.0.0 for every network (put a proxy in front)."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on; else KHUNG_PORT.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that serve, one a core at most.")
    ] = None,
) -> None:
    """Serve the search API and the web UI.

    The page is at `/`, the documented API at `/docs`. A new snapshot is picked up without a restart. An address that others
    can reach needs keys (`khung keys create NAME`).
    """
    from khung.api import server
    from khung.api.access import check_public

    config = settings()
    host, port = host or config.host, port or config.port
    serve = config.serve.model_copy(update={"workers": workers or config.serve.workers})
    config = config.model_copy(update={"host": host, "port": port, "serve": serve})
    check_public(config)
    _refuse_taken_port(host, port, "serve")
    out.print(f"[bold]khung[/] is at [bold cyan]{_address(host, port)}[/]  (Ctrl-C stops it)")
    server.run(config)


def _address(host: str, port: int) -> str:
    """Where a browser on this machine finds it."""
    at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{at}]' if ':' in at else at}:{port}"


def _refuse_taken_port(host: str, port: int, command: str) -> None:
    import socket

    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:  # also of a name that is no address of this machine
        raise ConfigError(
            f"Port {port} on {host} cannot be used: {error.strerror}.",
            cure=f"Choose another: khung {command} --port {port + 1 if port < 65535 else 8001}",
        ) from error


def encode_serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 0.0.0.0 for every network (set KHUNG_ENCODER_API_KEY then)."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8100,
) -> None:
    """Turn questions into vectors for search services elsewhere: on the machine with the GPU.

    There, `KHUNG_ENCODER_SERVERS='["http://HOST:8100/v1"]'` names it. The model of the settings is loaded before the port opens.
    """
    import uvicorn

    from khung.api.encoding import create_encoder
    from khung.vision.load import fingerprints

    config = settings()
    host = host or config.host
    _refuse_taken_port(host, port, "encode-serve")
    app = create_encoder(config)
    encoder = app.state.encoders.of(fingerprints(config).embedder)
    out.print(
        f"[bold]khung encode-serve[/] is at [bold cyan]{_address(host, port)}/v1[/] with {encoder.fingerprint}  (Ctrl-C stops it)"
    )
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=20)
