"""Completion scripts for shells, made from the table of flags."""

from bn_tb.command.flags import GROUPS, Flag

COMMAND = "bn_tb.analyze"

BASH = """\
_bn_tb_analyze() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD - 1]}}"
  [[ $word == "=" ]] && word="" && before="${{COMP_WORDS[COMP_CWORD - 1]}}"
  [[ $before == "=" ]] && before="${{COMP_WORDS[COMP_CWORD - 2]}}"
  case "$before" in
{cases}
    *) [[ $word == -* ]] && COMPREPLY=($(compgen -W "{names}" -- "$word")) ;;
  esac
}}
complete -o default -o nospace -F _bn_tb_analyze {command}
"""


def script(shell: str) -> str:
    """Returns a script for `bash`, `zsh` or `fish`; file names complete as they do anywhere."""
    flags = [flag for group in GROUPS.values() for flag in group]
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](flags)


def _bash(flags: list[Flag]) -> str:
    cases = [
        f'    --{flag.name}) COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$word")) ;;'
        for flag in flags
        if (choices := _choices(flag))
    ]
    names = " ".join(f"--{flag.name}{'=' if flag.value else ''}" for flag in flags)
    return BASH.format(cases="\n".join(cases), names=names, command=COMMAND)


def _zsh(flags: list[Flag]) -> str:
    lines = [f"#compdef {COMMAND}", "_arguments \\"]
    for flag in flags:
        values = f":{flag.name}:({' '.join(_choices(flag))})" if _choices(flag) else ""
        if flag.value and not values:
            values = f":{flag.value.lower()}:" + ("_files" if flag.value == "FILE" else "")
        help_text = flag.help.translate(str.maketrans("[]:", "();", "'"))
        mark = "*" if flag.repeats else ""
        lines.append(f"  '{mark}--{flag.name}{'=' if flag.value else ''}[{help_text}]{values}' \\")
    return "\n".join([*lines, "  '*:logdir:_files'", ""])


def _fish(flags: list[Flag]) -> str:
    lines = []
    for flag in flags:
        values = f" -x -a '{' '.join(_choices(flag))}'" if _choices(flag) else " -r"
        help_text = flag.help.replace("'", "\\'")
        lines.append(
            f"complete -c {COMMAND} -l {flag.name}{values if flag.value else ''} -d '{help_text}'"
        )
    return "\n".join([*lines, ""])


def _choices(flag: Flag) -> list[str]:
    return flag.value.split("|") if "|" in flag.value else []
