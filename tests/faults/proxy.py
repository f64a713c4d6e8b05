"""
A TCP proxy between routers and broker that passes on, or delays, slices, holds, cuts and resets.

One thread with an event loop. What is held is passed on later even if the client has gone
meanwhile: so requests reach the broker that nobody waits for any more.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK_BYTES = 1 << 16
_LOOK_SECONDS = 0.01
_START_SECONDS = 10.0
#: SO_LINGER on, zero seconds: closing sends a reset.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to bytes on their way."""

    delay: float = 0.0
    """Seconds that each chunk waits, in each direction."""
    slice_bytes: int = 0
    """Chunks are passed on in pieces of so many bytes; 0: whole."""
    holds_requests: bool = False
    holds_answers: bool = False
    refuses: bool = False
    """New connections are closed at once."""


FAIR = Weather()


class Proxy:
    """Listens on one loopback port, and passes on to another."""

    def __init__(self, *, port: int, target: int) -> None:
        self.weather = FAIR
        self.connections = 0
        #: How many chunks are being held.
        self.holding = 0
        self.port = port
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        if not self._listening.wait(_START_SECONDS):
            raise TimeoutError("the proxy does not listen")

    def close(self) -> None:
        """Close everything, and end the thread."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_START_SECONDS)

    def cut(self) -> None:
        """Close all connections."""
        self._soon(self._close_all)

    def reset(self) -> None:
        """End all connections with a reset."""
        self._soon(self._reset_all)

    def _soon(self, act: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            act()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(_START_SECONDS)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self._listening.set()
        await self._over.wait()
        server.close()
        self._close_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self.weather.refuses:
                await self._join(reader, writer)
        except OSError:
            pass  # the broker is away
        finally:
            self._drop(writer)
            if task is not None:
                self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.add(back)
        try:
            await asyncio.gather(
                self._pass_on(reader, back, lambda: self.weather.holds_requests),
                self._pass_on(there, writer, lambda: self.weather.holds_answers),
            )
        finally:
            self._drop(back)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        held: Callable[[], bool],
    ) -> None:
        """Pass bytes on until they end; then say so to the other side."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if self.weather.delay:
                    await asyncio.sleep(self.weather.delay)
                self.holding += 1
                # The weather is set by another thread, and an event of this loop is not.
                while held():  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)
                self.holding -= 1
                await self._send(writer, chunk)
        self._drop(writer)

    async def _send(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        piece = self.weather.slice_bytes
        if not piece:
            writer.write(chunk)
            await writer.drain()
            return
        for at in range(0, len(chunk), piece):
            writer.write(chunk[at : at + piece])
            await writer.drain()
            await asyncio.sleep(0)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    def _close_all(self) -> None:
        for writer in list(self._writers):
            self._drop(writer)

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
            self._writers.discard(writer)
