"""What users configure: `[tool.bn_tb]` of pyproject.toml, or bn_tb.toml; flags go over it."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bn_tb import plain_values as plain
from bn_tb.diagnosis import Options
from bn_tb.errors import UsageError
from bn_tb.gates import baseline
from bn_tb.gates.baseline import KnownFinding
from bn_tb.gates.suppressions import Suppression
from bn_tb.plain_values import shown
from bn_tb.reports.report import Report
from bn_tb.rules import ALL_RULES
from bn_tb.rules.verdict import Severity
from bn_tb.runs.tags import TagPatterns

FAIL_ON = ("error", "warning", "info", "never")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the configuration file; each but the last two is also a flag.

    Attributes:
      fail_on: One of `FAIL_ON`.
      select: Codes or prefixes to report; empty for all.
      ignore: Codes or prefixes not to report.
      frozen: Shell patterns of layers that are frozen on purpose.
      baseline: Path of the baseline file, or an empty string; in a file relative to that file.
      momentum: Weight of the old value per update in [0, 1), where logs do not say it.
      updates_per_step: Updates of the statistics per logged step, above 0, where logs do not say.
      mean_tag: Regular expressions for tags of moving means.
      variance_tag: Regular expressions for tags of moving variances.
      checkpoints: Whether to read checkpoints that lie in LOGDIR.
      limits: Overrides of rule limits, `{"BN201": {"lagging": 0.1}}`.
      suppress: Accepted findings.
    """

    fail_on: str = "error"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    baseline: str = ""
    momentum: float | None = None
    updates_per_step: float | None = None
    mean_tag: tuple[str, ...] = ()
    variance_tag: tuple[str, ...] = ()
    checkpoints: bool = True
    limits: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    suppress: tuple[Suppression, ...] = ()

    def options(self) -> Options:
        """Returns what `diagnose` takes."""
        return Options(
            select=self.select,
            ignore=self.ignore,
            momentum=self.momentum,
            updates_per_step=self.updates_per_step,
            frozen=self.frozen,
            limits=self.limits,
            patterns=self.patterns(),
        )

    def patterns(self) -> TagPatterns:
        """Returns what `read_logdir` takes."""
        return TagPatterns(
            tuple(map(re.compile, self.mean_tag)), tuple(map(re.compile, self.variance_tag))
        )

    def gate(self, update: bool = False) -> Report:
        """Returns a report without runs, with the gates.

        Args:
          update: Whether the baseline is going to be written, so that it need not exist.

        Raises:
          UsageError: There is no baseline to update, or it cannot be read.
        """
        threshold = None if self.fail_on == "never" else Severity[self.fail_on.upper()]
        return Report((), threshold, self.suppress, self._known(update))

    def _known(self, update: bool) -> tuple[KnownFinding, ...] | None:
        if update and not self.baseline:
            raise UsageError("--update_baseline: say which file, --baseline=FILE")
        if not self.baseline or (update and not os.path.exists(self.baseline)):
            return None
        return baseline.load(self.baseline)


def choose(flags: Any) -> Settings:
    """Returns the settings of the flags, of the configuration file, and the defaults.

    Raises:
      UsageError: A value cannot be used.
    """
    file = pathlib.Path(flags.config) if flags.config else find_file(here())
    configured = load(file) if file else Settings()
    names = [field.name for field in dataclasses.fields(Settings)]
    given = {name: flags[name].value for name in names if name in flags and flags[name].present}
    return settled(configured, given, "flag")


def find_file(folder: pathlib.Path) -> pathlib.Path | None:
    """Returns the nearest configuration file in a folder or above it; bn_tb.toml goes first."""
    for place in (folder, *folder.parents):
        if os.path.isfile(own := place / "bn_tb.toml"):  # False too where nobody may look
            return own
        project = place / "pyproject.toml"
        if os.path.isfile(project) and _project_table(_parse(project)) is not None:
            return project
    return None


def load(path: pathlib.Path) -> Settings:
    """Returns the settings of a configuration file.

    Raises:
      UsageError: The file cannot be read, or a key or value is not understood.
    """
    document = _parse(path)
    where = str(path)
    if path.name == "pyproject.toml":
        where += ": [tool.bn_tb]"
        document = plain.table(_project_table(document) or {}, where)
    settings = settled(Settings(), document, where)
    if settings.baseline:
        settings = dataclasses.replace(settings, baseline=str(path.parent / settings.baseline))
    return settings


def settled(settings: Settings, values: Mapping[str, Any], where: str) -> Settings:
    """Returns settings with some values replaced, each checked.

    Args:
      settings: What holds for keys that are not in `values`.
      values: Keys of `Settings` with plain values, as TOML has them.
      where: Named in errors: the file, or `flag`.

    Raises:
      UsageError: A key is unknown or a value cannot be used.
    """
    known = {field.name: field for field in dataclasses.fields(Settings)}
    checked: dict[str, Any] = {}
    for key, value in values.items():
        place = f"--{key}" if where == "flag" else f"{where} {key}"
        if key not in known:
            raise UsageError(f"{where}: unknown key {shown(key)}{_nearest(key, known)}")
        checked[key] = _CHECKS[key](value, place)
    return dataclasses.replace(settings, **checked)


def here() -> pathlib.Path:
    """Returns the working folder.

    Raises:
      UsageError: Somebody deleted it.
    """
    try:
        return pathlib.Path.cwd()
    except OSError as error:
        raise UsageError(
            f"the working folder is gone ({error.strerror}); cd to one that exists"
        ) from None


def _project_table(document: Mapping[str, Any]) -> Any:
    """Returns what is under `tool.bn_tb`, or None."""
    tools = document.get("tool")
    return tools.get("bn_tb") if isinstance(tools, dict) else None


def _parse(path: pathlib.Path) -> dict[str, Any]:
    try:
        return plain.toml_of(plain.read(str(path)))
    except OSError as error:
        raise UsageError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise UsageError(f"{path}: not valid TOML: {error}") from None


def _nearest(word: str, words: Iterable[str]) -> str:
    import difflib  # a slip may cost some milliseconds

    words, word = sorted(words), word[: plain.LONGEST_SHOWN]
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; want one of {', '.join(words)}"


def _path(value: Any, place: str) -> str:
    if "\0" in (path := plain.text(value, place)):
        raise UsageError(f"{place}: want a path, got {shown(path)}")
    return path


def _fail_on(value: Any, place: str) -> str:
    if value not in FAIL_ON:
        raise UsageError(f"{place}: want {', '.join(FAIL_ON[:-1])} or never, got {shown(value)}")
    return str(value)


def _codes(value: Any, place: str) -> tuple[str, ...]:
    prefixes = tuple(prefix.upper() for prefix in plain.texts(value, place))
    for prefix in prefixes:
        if not prefix or not any(rule.code.startswith(prefix) for rule in ALL_RULES):
            codes = {rule.code for rule in ALL_RULES}
            raise UsageError(
                f"{place}: no code starts with {shown(prefix)}{_nearest(prefix, codes)}"
            )
    return prefixes


def _code(value: Any, place: str) -> str:
    code, codes = plain.text(value, place), {rule.code for rule in ALL_RULES}
    if code not in codes:
        raise UsageError(f"{place}: unknown code {shown(code)}{_nearest(code, codes)}")
    return code


def _expressions(value: Any, place: str) -> tuple[str, ...]:
    expressions = plain.texts(value, place)
    for expression in expressions:
        try:
            re.compile(expression)
        except (re.error, OverflowError, RecursionError) as error:  # a{99999999999}, (((((...
            raise UsageError(
                f"{place}: {shown(expression)} is no regular expression: {error}"
            ) from None
    return expressions


def _momentum(value: Any, place: str) -> float:
    if not 0 <= (momentum := plain.number(value, place)) < 1:
        raise UsageError(
            f"{place}: want the weight of the old value, at least 0 and below 1 "
            f"(PyTorch: 1 - momentum), got {momentum:g}"
        )
    return momentum


def _updates_per_step(value: Any, place: str) -> float:
    if (updates := plain.number(value, place)) <= 0:
        raise UsageError(f"{place}: want a number above 0, got {updates:g}")
    return updates


def _limits(value: Any, place: str) -> dict[str, dict[str, float]]:
    limits = {rule.code: rule.limits for rule in ALL_RULES}
    checked: dict[str, dict[str, float]] = {}
    for code, overrides in plain.table(value, place).items():
        known = limits[_code(code, place)]
        for name, limit in plain.table(overrides, f"{place}.{code}").items():
            if name not in known:
                wish = _nearest(name, known) if known else "; it has none"
                raise UsageError(f"{place}.{code}: unknown limit {shown(name)}{wish}")
            checked.setdefault(code, {})[name] = plain.number(limit, f"{place}.{code}.{name}")
    return checked


def _suppress(value: Any, place: str) -> tuple[Suppression, ...]:
    return tuple(
        _suppression(plain.table(entry, place), f"{place}[{number}]")
        for number, entry in enumerate(plain.items(value, place))
    )


def _suppression(entry: dict[str, Any], place: str) -> Suppression:
    known = [field.name for field in dataclasses.fields(Suppression)]
    for key in entry:
        if key not in known:
            raise UsageError(f"{place}: unknown key {shown(key)}{_nearest(key, known)}")
    if not plain.text(entry.get("reason", ""), f"{place}.reason").strip():
        raise UsageError(f"{place}: reason is missing; say why this finding is accepted")
    if "code" not in entry:
        raise UsageError(f"{place}: code is missing, such as code = 'BN101'")
    _code(entry["code"], f"{place}.code")
    return Suppression(**{key: plain.text(text, f"{place}.{key}") for key, text in entry.items()})


_CHECKS = {
    "fail_on": _fail_on,
    "select": _codes,
    "ignore": _codes,
    "frozen": plain.texts,
    "baseline": _path,
    "momentum": _momentum,
    "updates_per_step": _updates_per_step,
    "mean_tag": _expressions,
    "variance_tag": _expressions,
    "checkpoints": plain.on_or_off,
    "limits": _limits,
    "suppress": _suppress,
}
