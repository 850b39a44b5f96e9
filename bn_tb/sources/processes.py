"""Work on several cores, results in the order of the tasks."""

import collections
import concurrent.futures
import itertools
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_BATCH_COST = 4 << 20  # bytes to read; less is not worth a message between processes


def in_order(
    work: Callable[[Task], Result], tasks: Sequence[Task], costs: Sequence[int], jobs: int
) -> Iterator[Result]:
    """Yields the result of each task; a few batches ahead are worked on in other processes.

    Args:
      work: Picklable, without effects on anything else.
      tasks: Picklable.
      costs: Bytes that each task reads.
      jobs: Processes.
    """
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(jobs, context) as pool:
        ahead: collections.deque[concurrent.futures.Future[list[Result]]] = collections.deque()
        batches = _batches(tasks, costs)
        try:
            for batch in itertools.chain(batches, [None] * (jobs + 1)):
                if batch is not None:
                    ahead.append(pool.submit(_work_on, work, batch))
                if ahead and (batch is None or len(ahead) > jobs):
                    yield from ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _batches(tasks: Sequence[Task], costs: Sequence[int]) -> Iterator[list[Task]]:
    batch, cost = list[Task](), 0
    for task, own in zip(tasks, costs, strict=True):
        batch.append(task)
        cost += own
        if cost >= _BATCH_COST:
            yield batch
            batch, cost = [], 0
    if batch:
        yield batch


def _work_on(work: Callable[[Task], Result], batch: Sequence[Task]) -> list[Result]:
    return [work(task) for task in batch]
