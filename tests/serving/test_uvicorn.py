"""What the service takes from uvicorn is still there: a new release that changes it is found here, by name."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from glyphnet.serving.connections import ConnectionPool, GuardedProtocol
from glyphnet.serving.limits import Limits
from glyphnet.serving.server import GuardedServer

from .conftest import in_thread

OVERRIDDEN = {
    "serve": ["self", "sockets"],
    "startup": ["self", "sockets"],
    "shutdown": ["self", "sockets"],
    "on_tick": ["self", "counter"],
    "handle_exit": ["self", "sig", "frame"],
}
CHANGED = (
    f"uvicorn {uvicorn.__version__} changed %s, on which glyphnet.serving.server relies: adapt that, then the range "
    "in pyproject.toml"
)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_the_methods_that_our_server_overrides_or_calls(name: str) -> None:
    found = list(inspect.signature(getattr(uvicorn.Server, name)).parameters)
    assert found == OVERRIDDEN[name], CHANGED % f"Server.{name}"


def test_the_run_of_a_server_calls_what_we_override() -> None:
    """A tick that says so ends it; then it is shut down. No socket is listened on where none is handed over."""
    called = []

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            called.append("startup")
            await super().startup(sockets)
            assert not any(server.sockets for server in self.servers), CHANGED % "what Server.startup([]) listens on"

        async def on_tick(self, counter: int) -> bool:
            called.append("on_tick")
            return await super().on_tick(counter) or counter == 1

        async def shutdown(self, sockets: Any = None) -> None:
            called.append("shutdown")
            await super().shutdown(sockets)

    in_thread(lambda: Server(uvicorn.Config(answer, lifespan="off", log_level="critical")).serve([]))
    assert called == ["startup", "on_tick", "on_tick", "shutdown"], CHANGED % "what Server.serve calls"


def test_a_protocol_can_be_made_and_stands_behind_ours() -> None:
    """A request through both: the state that we hand over reaches the application, and the answer comes back."""
    config = uvicorn.Config(answer, http="httptools", lifespan="off", log_level="critical")
    config.load()
    server = uvicorn.Server(config)
    assert isinstance(server.server_state, ServerState)
    assert (server.should_exit, server.force_exit) == (False, False), CHANGED % "Server.should_exit and force_exit"

    async def ask() -> bytes:
        pool = ConnectionPool(Limits(), {}, lambda _: None)
        make: Callable[..., asyncio.Protocol] = config.http_protocol_class  # type: ignore[assignment]

        def behind(guard: GuardedProtocol) -> asyncio.Protocol:
            return make(config=config, server_state=server.server_state, app_state={"connection": guard})

        listener = await asyncio.get_running_loop().create_server(lambda: GuardedProtocol(pool, behind), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        told = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        listener.close()
        return told

    told = in_thread(ask)
    assert told.startswith(b"HTTP/1.1 200"), CHANGED % "Config.http_protocol_class"
    assert told.endswith(b"\r\n\r\nGuardedProtocol"), CHANGED % 'the state in an application\'s scope["state"]'


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    kind = type(scope["state"]["connection"]).__name__
    headers = [(b"content-length", b"%d" % len(kind))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": kind.encode()})


def test_our_server_overrides_no_more_than_is_checked_here() -> None:
    own = {name for name in vars(GuardedServer) if name in vars(uvicorn.Server) and not name.startswith("__")}
    assert own <= set(OVERRIDDEN)
