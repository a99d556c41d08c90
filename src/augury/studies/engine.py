"""The local engine: runs a graph's steps in worker processes of one thread each, and survives being killed.

Two single-threaded processes do more than one with two threads, and one thread makes results independent of the number
of cores. A worker ends itself when its parent is gone, so a killed study leaves nobody who still writes.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch

from augury.data import provenance
from augury.errors import UserError
from augury.studies.graph import Graph, Step
from augury.studies.steps import execute
from augury.studies.workspace import Workspace

Progress = Callable[[str, int, int], None]  # a stage's name, how much of it is done, how much there is
Finished = Callable[[Step, float], None]  # a step and the seconds it took

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_MAX_": "0",  # glibc: no page faults for the large buffers of every convolution
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}


def run(
    graph: Graph, space: Workspace, *, workers: int, progress: Progress | None = None, finished: Finished | None = None
) -> None:
    """Make every artefact of the graph that is not there yet."""
    todo = {digest: step for digest, step in graph.steps.items() if not provenance.complete(space.folder(step))}
    tracker = Tracker(graph, todo, progress)
    if workers == 1:
        _here(todo, space, tracker, finished)
    elif todo:
        _in_processes(todo, space, workers, tracker, finished)


class Tracker:
    """Adds up the expected seconds of what is done."""

    def __init__(self, graph: Graph, todo: dict[str, Step], progress: Progress | None) -> None:
        self.cost = {digest: max(step.cost, 1e-3) for digest, step in graph.steps.items()}
        self.share = {digest: float(digest not in todo) for digest in graph.steps}
        self.progress = progress

    def hear(self, digest: str, share: float) -> None:
        """A step has come this far."""
        self.share[digest] = share
        if self.progress:
            done = sum(self.cost[d] * s for d, s in self.share.items())
            self.progress("training (core seconds)", round(done), max(1, round(sum(self.cost.values()))))


def _here(todo: dict[str, Step], space: Workspace, tracker: Tracker, finished: Finished | None) -> None:
    with one_thread(space.device):
        for digest, step in todo.items():
            seconds = execute(step, space, lambda done, total, d=digest: tracker.hear(d, done / total))  # type: ignore[misc]
            tracker.hear(digest, 1.0)
            if finished:
                finished(step, seconds)


@contextmanager
def one_thread(device: str) -> Iterator[None]:
    """One thread on a CPU, so that sums are taken in one order however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_processes(
    todo: dict[str, Step], space: Workspace, workers: int, tracker: Tracker, finished: Finished | None
) -> None:
    context = multiprocessing.get_context("spawn")
    voices = context.Queue()
    with _environment():
        pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin, initargs=(space, voices, os.getpid())
        )
        try:
            _feed(pool, dict(todo), voices, tracker, finished)
        except BrokenProcessPool as error:
            raise UserError(
                f"a worker process was killed from outside, most often for lack of memory; {workers} were at work; "
                "run the same command again with fewer (--set workers=1): it goes on where it was"
            ) from error
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.kill()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _feed(
    pool: ProcessPoolExecutor, todo: dict[str, Step], voices: Any, tracker: Tracker, finished: Finished | None
) -> None:
    """Submit every step whose parents are there; dearest first, so that no long step is left for the end."""
    running: dict[Future[float], Step] = {}
    missing = set(todo)
    while todo or running:
        ready = [step for step in todo.values() if missing.isdisjoint(step.recipe.parents.values())]
        for step in sorted(ready, key=lambda step: -_urgency(step)):
            with _deaf():
                running[pool.submit(_do, step)] = todo.pop(step.digest)
        done, _ = wait(running, timeout=0.3, return_when=FIRST_COMPLETED)
        _listen(voices, tracker)
        for future in done:
            step, seconds = running.pop(future), future.result()
            missing.discard(step.digest)
            tracker.hear(step.digest, 1.0)
            if finished:
                finished(step, seconds)


def _urgency(step: Step) -> float:
    """Steps that others wait for go first."""
    return step.cost + (1e6 if step.recipe.kind in ("tune", "generator", "draw") else 0.0)


def _listen(voices: Any, tracker: Tracker) -> None:
    heard: dict[str, float] = {}
    while True:
        try:
            digest, share = voices.get_nowait()
        except queue.Empty:
            break
        heard[digest] = share
    for digest, share in heard.items():
        if tracker.share[digest] < 1.0:
            tracker.hear(digest, share)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started within never hear Ctrl-C: this one hears it and ends them, without their tracebacks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment() -> Iterator[None]:
    """Settings that a process reads once, at its start: given to the workers, taken back here."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# In a worker

_SPACE: Workspace | None = None
_VOICES: Any = None


def _begin(space: Workspace, voices: Any, parent: int) -> None:
    global _SPACE, _VOICES
    _SPACE, _VOICES = space, voices
    torch.set_num_threads(1)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _do(step: Step) -> float:
    assert _SPACE is not None, "the initializer ran"
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            _VOICES.put((step.digest, 0.99 * done / total))

    return execute(step, _SPACE, report)
