"""Completion scripts for shells, made from the table of options."""
from __future__ import annotations

from qhttp.cli.options import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qhttp.cli.options import Option

_BASH = """\
# eval "$(qhttp --completion bash)"
_qhttp() {{
    local word="$2" before="$3"
    COMPREPLY=()
    case "$before" in
{cases}
        {silent}) return ;;
    esac
    case "$word" in
        -*) COMPREPLY=($(compgen -W '{flags}' -- "$word")) ;;
    esac
}}
complete -F _qhttp qhttp
"""
_ZSH = """\
#compdef qhttp
# As _qhttp into a folder of $fpath, or: eval "$(qhttp --completion zsh)"
_qhttp() {{
    _arguments -s \\
{lines}
        '*:URL:_urls'
}}
if [ "$funcstack[1]" = _qhttp ]; then _qhttp "$@"; else compdef _qhttp qhttp; fi
"""


def script(shell: str) -> str:
    """The script for "bash", "zsh" or "fish"."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _bash() -> str:
    takers = [option for option in OPTIONS if option.metavar]
    cases = [f"        {'|'.join(option.flags)}) {_bash_answer(option)}; return ;;" for option in takers if option.complete]
    return _BASH.format(cases="\n".join(cases), silent="|".join(flag for option in takers if not option.complete
                                                                for flag in option.flags),
                        flags=" ".join(flag for option in OPTIONS for flag in option.flags))


def _bash_answer(option: Option) -> str:
    if isinstance(option.complete, tuple):
        return f"COMPREPLY=($(compgen -W '{' '.join(option.complete)}' -- \"$word\"))"
    return f'compopt -o filenames; COMPREPLY=($(compgen -{"d" if option.complete == "folder" else "f"} -- "$word"))'


def _zsh() -> str:
    return _ZSH.format(lines="\n".join(_zsh_line(option, flag) for option in OPTIONS for flag in option.flags))


def _zsh_line(option: Option, flag: str) -> str:
    answers = {"file": "_files", "folder": "_files -/", (): " "}
    behind = ""
    if option.metavar:
        answer = answers.get(option.complete) or f"({' '.join(option.complete)})"
        behind = f":{_plain(option.metavar)}:{answer}"
    several = "*" if option.repeats else f"({' '.join(option.flags)})"
    return f"        '{several}{flag}[{_plain(option.help)}]{behind}' \\"


def _fish() -> str:
    lines = ["# qhttp --completion fish > ~/.config/fish/completions/qhttp.fish", "complete -c qhttp -f"]
    for option in OPTIONS:
        flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
        lines.append(f"complete -c qhttp {flags}{_fish_answer(option)} -d '{_plain(option.help)}'")
    return "\n".join([*lines, ""])


def _fish_answer(option: Option) -> str:
    if isinstance(option.complete, tuple):
        return f" -x -a '{' '.join(option.complete)}'" if option.complete else " -x" if option.metavar else ""
    return " -r -F" if option.complete == "file" else " -x -a '(__fish_complete_directories)'"


def _plain(text: str) -> str:
    """A text without what shells and their tables of options would read otherwise."""
    return "".join(c for c in text if c not in "'`$[]:\\")
