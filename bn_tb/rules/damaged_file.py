"""## What it does
Names event files that could not be read to their end.

## Why is this bad?
What is missing cannot be judged; the verdict speaks of the part that was read.

## How it is decided
Each record of an event file carries checksums of its length and its data. A record that ends with
the file is an unfinished tail: usual for a run that still writes or was killed, and only info, as
is an empty file. A wrong checksum, an undecodable record or a foreign file is a warning. Graphs
that cannot be decoded, or are beyond what is read of one run, are info.

## Example
    events.out.tfevents.1511577900: truncated at byte 5242880: 4096 bytes of 9000 left

## When it is wrong
While a file is being copied.

## How to fix it
Copy the file again from where it was written; close the writer (`writer.close()`) at the end of the
program.

## References
- https://github.com/tensorflow/tensorflow/blob/v2.16.1/tensorflow/core/lib/io/record_writer.h
"""

from collections.abc import Iterator, Mapping

from bn_tb.rules._words import shortened
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Severity
from bn_tb.runs.run import POINTER, FileReport, Run


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for unfinished files, for damaged ones, and for graphs."""
    bad = [file for file in subject.run.files if file.status != "ok"]
    harmless = list(filter(_is_harmless, bad))
    pointers = [file for file in bad if file.detail == POINTER]
    damaged = [file for file in bad if not _is_harmless(file) and file not in pointers]
    if harmless:
        yield _evidence(
            subject.run, harmless, "has an unfinished tail", Severity.INFO,
            "Nothing, if the run still writes or was stopped; else copy the file again.",
        )  # fmt: skip
    if pointers:
        yield _evidence(
            subject.run, pointers, "is a Git LFS pointer", Severity.WARNING,
            "Fetch the file itself: git lfs install, then git lfs pull.",
        )  # fmt: skip
    if damaged:
        yield _evidence(
            subject.run, damaged, "is damaged or of another kind", Severity.WARNING,
            "Copy it again, with all of its files, from where it was written.",
        )  # fmt: skip
    if graphs := tuple(_unread_graphs(subject)):
        yield Evidence(
            message="Graphs of this run could not be read, and say nothing of it.",
            proof=graphs[:5],
            fix="Nothing, if the statistics are logged: they were judged.",
            severity=Severity.INFO,
        )


def _unread_graphs(subject: Subject) -> Iterator[str]:
    """Yields a line on each graph that says nothing because nobody could read it."""
    yield from subject.graph.problems if subject.graph else ()
    if left_out := subject.run.graphs_left_out:
        yield f"{left_out:,} more graphs were not read: too many, or too large, for one run"


def _is_harmless(file: FileReport) -> bool:
    return file.status == "truncated" or file.bytes == 0


def _evidence(
    run: Run, files: list[FileReport], predicate: str, severity: Severity, fix: str
) -> Evidence:
    kind = "event file" if files[0].kind == "events" else files[0].kind
    first = shortened(files[0].path)
    more = f", and so {len(files) - 1} more" if len(files) > 1 else ""
    some = run.scalars or run.histograms or run.graphs
    rest = "The rest was read and judged." if some else "Nothing in it could be read."
    return Evidence(
        message=f"The {kind} {first} {predicate}{more}. {rest}",
        proof=tuple(f"{shortened(file.path)}: {file.detail or file.status}" for file in files[:5]),
        fix=fix,
        severity=severity,
    )


RULE = Rule("BN903", "damaged-file", Severity.WARNING, check, __doc__ or "")
