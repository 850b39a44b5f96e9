"""Errors that a person can act on; every other exception is our bug."""


class BnTbError(Exception):
    """One line for the user: which file, where, what was found, what was expected, what to do."""


class UsageError(BnTbError):
    """A flag, a configuration key or a path that cannot be used."""


def fault_in_words(error: Exception) -> str:
    """Returns one line about a fault of ours, for the run that it costs.

    Reading and judging a run are the two places that let no fault through: one run of a thousand,
    which nobody foresaw, must not cost the report of the others.
    """
    trace, where = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename.replace("\\", "/")
        if "/bn_tb/" in file:
            where = f" at bn_tb/{file.rpartition('/bn_tb/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    detail = " ".join(str(error).split())[:200]
    reason = f"{type(error).__name__}{f': {detail}' if detail else ''}{where}"
    return f"bn_tb failed on it ({reason}); please report this line, the other runs were judged"
