"""proxy.py - a bad network between a device and its server, on loopback: bytes go through, late, in pieces, or not at all.

A `Line` says what one connection suffers; `Proxy` carries connections over such lines on one thread. Everything is bounded: the number
of connections, the life of the proxy, the bytes it holds (a slow line fills up, and then its sender has to wait, as on a real one).
Directions are "up" (device to server) and "down". Offsets are bytes of the connection, TLS included.
"""
import collections
import dataclasses
import heapq
import random
import selectors
import socket
import struct
import threading
import time

UP, DOWN = "up", "down"
OTHER = {UP: DOWN, DOWN: UP}
SEGMENT_BYTES = 536  # what is lost or delayed as one
HELD_BYTES = 16 * 1024  # a router's queue in each direction
CONNECTIONS_MAX = 20000


@dataclasses.dataclass(frozen=True)
class Line:
    cut_at: int = None        # cut after so many bytes, both directions together
    cut_up_at: int = None     # the same of one direction
    cut_down_at: int = None
    reset: bool = False       # a cut is an RST and not a FIN
    hole_up_at: int = None    # from here on bytes vanish, and no end is told
    hole_down_at: int = None
    half_at: int = None       # after so many bytes up the server is told that no more will come; its own still go down
    split: int = None         # bytes per write
    merge_s: float = 0        # bytes are collected for so long and go on together
    rate: float = None        # bytes per second, each direction
    delay_s: float = 0        # one way
    loss: float = 0           # chance that a segment has to be sent again: a second late, and all behind it
    idle_s: float = None      # cut when nothing moved for so long, as middleboxes do
    life_s: float = None      # cut after so long
    answer: bytes = None      # say this to whatever comes, and hang up: nothing reaches the server


GOOD = Line()
THIN = Line(rate=2000, delay_s=0.5, loss=0.1)  # 16 kbit/s, 1 s round trip


class Pipe:
    """One direction of a connection."""

    def __init__(self, connection, direction, source, sink):
        self.connection, self.direction, self.source, self.sink = connection, direction, source, sink
        self.queue = collections.deque()  # (due, bytes); b"" is the end
        self.held = 0
        self.taken = 0    # bytes that came in
        self.passed = 0   # bytes that went on
        self.free_at = 0  # when the line is free again
        self.ended = False


class Connection:
    """What became of it: `passed` bytes up and down, `life_s`, and `why` it ended."""

    def __init__(self, index, line, device, server):
        self.index, self.line, self.device, self.server = index, line, device, server
        self.began = self.moved = time.monotonic()
        self.why = None
        self.life_s = None
        self.pipes = {UP: Pipe(self, UP, device, server), DOWN: Pipe(self, DOWN, server, device)}

    def passed(self, direction=None):
        return sum(p.passed for d, p in self.pipes.items() if direction in (None, d))


class Proxy:
    """Listens on a free port of loopback. `line`: a Line, or a function of the connection's number that gives one; it may be replaced
    at any time and counts for new connections."""

    def __init__(self, target, line=GOOD, lots=None, bound_s=240):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.line = line
        self.lots = lots or random.Random(1)
        self.until = time.monotonic() + bound_s
        self.connections = []
        self.refuse = False   # nobody listens, so to speak: new connections are reset
        self.refused_at = []  # when
        self.timers = []      # heap of (due, number, function)
        self.number = 0
        self.lock = threading.Lock()
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.waker, self.woken = socket.socketpair()
        self.selector.register(self.woken, selectors.EVENT_READ, lambda: self.woken.recv(64))
        self.ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        self.ending = True
        self.waker.send(b"x")
        self.thread.join(10)

    def cut_all(self):
        """Cuts what is open now."""
        self.later(0, lambda: [self.cut(c, "cut by the test") for c in list(self.connections) if not c.why])
        self.waker.send(b"x")

    def open_count(self):
        return sum(1 for c in list(self.connections) if not c.why)

    def bytes_passed(self, direction=None):
        return sum(c.passed(direction) for c in list(self.connections))

    # ---- the thread ----

    def run(self):
        while not self.ending and time.monotonic() < self.until:
            with self.lock:
                due = self.timers[0][0] if self.timers else time.monotonic() + 1
            for key, _ in self.selector.select(max(0, due - time.monotonic())):
                key.data()
            while True:
                with self.lock:
                    if not self.timers or self.timers[0][0] > time.monotonic():
                        break
                    _, _, function = heapq.heappop(self.timers)
                function()
        for connection in self.connections:
            if not connection.why:
                self.cut(connection, "the proxy ended")
        self.selector.unregister(self.listener)
        self.listener.close()
        self.selector.close()
        self.waker.close()
        self.woken.close()

    def later(self, delay_s, function):
        with self.lock:
            self.number += 1
            heapq.heappush(self.timers, (time.monotonic() + delay_s, self.number, function))

    def accept(self):
        try:
            device, _ = self.listener.accept()
        except OSError:
            return
        if self.refuse:
            self.refused_at.append(time.monotonic())
        if self.refuse or len(self.connections) >= CONNECTIONS_MAX:
            self.hang_up(device, True)
            return
        line = self.line(len(self.connections)) if callable(self.line) else self.line
        try:
            server = None if line.answer is not None else socket.create_connection(self.target, 5)
        except OSError:
            self.hang_up(device, True)
            return
        connection = Connection(len(self.connections), line, device, server)
        self.connections.append(connection)
        for end in (device, server):
            if end:
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for direction, pipe in connection.pipes.items():
            if pipe.source:
                self.listen(pipe)
        if line.life_s is not None:
            self.later(line.life_s, lambda: self.cut(connection, "its time was up"))
        if line.idle_s is not None:
            self.watch_idle(connection)

    def listen(self, pipe):
        try:
            self.selector.register(pipe.source, selectors.EVENT_READ, lambda: self.read(pipe))
        except (KeyError, ValueError):
            pass  # listened to already, or closed

    def ignore(self, pipe):
        try:
            self.selector.unregister(pipe.source)
        except (KeyError, ValueError):
            pass

    def watch_idle(self, connection):
        quiet_s = time.monotonic() - connection.moved
        if connection.why:
            return
        if quiet_s >= connection.line.idle_s:
            self.cut(connection, "it was idle")
        else:
            self.later(connection.line.idle_s - quiet_s, lambda: self.watch_idle(connection))

    def read(self, pipe):
        connection, line = pipe.connection, pipe.connection.line
        try:
            data = pipe.source.recv(SEGMENT_BYTES if line.rate else 65536)
        except BlockingIOError:
            return
        except OSError:
            self.cut(connection, f"the end {pipe.direction} from here was reset")
            return
        connection.moved = time.monotonic()
        if line.answer is not None:
            self.say(connection)
            return
        if not data:
            self.ignore(pipe)
        pipe.taken += len(data)
        pipe.held += len(data)
        pipe.queue.append((self.due(pipe, len(data)), data))
        if pipe.held >= HELD_BYTES:
            self.ignore(pipe)
        if line.rate or line.delay_s or line.merge_s:
            self.later(pipe.queue[-1][0] - time.monotonic(), lambda: self.deliver(pipe))
        else:
            self.deliver(pipe)

    def due(self, pipe, size):
        line = pipe.connection.line
        at = max(time.monotonic() + line.merge_s, pipe.free_at)
        if line.rate:
            at += size / line.rate
        if line.loss and self.lots.random() < line.loss:
            at += 2 * line.delay_s
        pipe.free_at = at
        return at + line.delay_s

    def say(self, connection):
        try:
            connection.device.sendall(connection.line.answer)
            connection.device.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.later(0.2, lambda: self.cut(connection, "answered"))
        self.ignore(connection.pipes[UP])

    def deliver(self, pipe):
        connection = pipe.connection
        pieces = []
        now = time.monotonic()
        while pipe.queue and pipe.queue[0][0] <= now and not connection.why:
            _, data = pipe.queue.popleft()
            pipe.held -= len(data)
            if data:
                pieces.append(data)
            else:
                self.send(pipe, b"".join(pieces))
                pieces = []
                self.end(pipe)
        if pieces and not connection.why:
            self.send(pipe, b"".join(pieces))
        if not connection.why and not pipe.ended and pipe.held < HELD_BYTES:
            self.listen(pipe)

    def end(self, pipe):
        pipe.ended = True
        try:
            pipe.sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        if all(p.ended for p in pipe.connection.pipes.values()):
            self.cut(pipe.connection, "both ends were done")

    def limit(self, pipe):
        """How many more bytes may go on before the line is cut, and why; None: any number."""
        connection, line = pipe.connection, pipe.connection.line
        own = line.cut_up_at if pipe.direction == UP else line.cut_down_at
        left = [n - done for n, done in ((line.cut_at, connection.passed()), (own, pipe.passed)) if n is not None]
        return min(left) if left else None

    def send(self, pipe, data):
        connection, line = pipe.connection, pipe.connection.line
        hole = line.hole_up_at if pipe.direction == UP else line.hole_down_at
        left = self.limit(pipe)
        cut = left is not None and left <= len(data)
        if cut:
            data = data[:left]
        kept = data if hole is None else data[:max(0, hole - pipe.passed)]
        half = line.half_at is not None and pipe.direction == UP and pipe.passed + len(data) >= line.half_at
        if half:
            kept = kept[:max(0, line.half_at - pipe.passed)]
        pipe.passed += len(data)
        connection.moved = time.monotonic()
        try:
            self.write(pipe.sink, kept, line.split)
            if half and not pipe.ended:
                pipe.ended = True
                pipe.sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut(connection, f"the end {pipe.direction} of here is gone")
            return
        if cut:
            self.cut(connection, "cut")

    @staticmethod
    def write(sink, data, split):
        """Waits for a slow reader, for a bounded time: tests that stop a reader give its line a hole instead."""
        sink.settimeout(5)
        for at in range(0, len(data), split or max(1, len(data))):
            sink.sendall(data[at:at + (split or len(data))])
        sink.setblocking(False)

    def cut(self, connection, why):
        if connection.why:
            return
        connection.why = why
        connection.life_s = time.monotonic() - connection.began
        for pipe in connection.pipes.values():
            pipe.queue.clear()
            if pipe.source:
                self.ignore(pipe)
        for end in (connection.device, connection.server):
            if end:
                self.hang_up(end, connection.line.reset)

    @staticmethod
    def hang_up(end, reset):
        try:
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        except OSError:
            pass
