"""From arguments to an exit code: where every error of a command ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress

import typer

from engine.errors import DataError, MimError
from mim4dd_tui.characters import write_plain
from mim4dd_tui.cli import output
from mim4dd_tui.cli.app import app
from mim4dd_tui.cli.failures import crash_sentence, error_document
from mim4dd_tui.plain import tell
from mim4dd_tui.signals import AbandonedError
from mim4dd_tui.terminal import abilities


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Errors are told on standard error; with ``--json`` also as the document on standard output.
    """
    output.open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if not abilities().unicode:
            write_plain(stream)
            continue
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    as_json = "--json" in arguments
    with output.json_only() if as_json else nullcontext():
        code = _run(list(arguments), as_json)
    if code < 0:  # the engine's thread is still at work and cannot be waited for
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(-code)
    return code


def _run(arguments: list[str], as_json: bool) -> int:
    """The exit code; negative where the process must end at once with it."""
    try:
        code = app(args=arguments, prog_name="mim4dd", standalone_mode=False)
        output.flush()
    except typer.TyperException as error:  # the arguments could not be read
        if isinstance(message := getattr(error, "message", None), str):
            error.message = _refused_number(error) or message.removeprefix("Value error, ")  # the validator's own word
        _show_usage(error)
        return _fail({"error": error.format_message(), "kind": "UsageError", "exit_code": 2}, as_json, 2)
    except (typer.Abort, KeyboardInterrupt):
        return _fail({"error": "interrupted", "kind": "Interrupted", "exit_code": 130}, as_json, 130)
    except output.RefusedError as error:
        if not error.gone:  # else its reader has had enough (`mim4dd runs | head -1`)
            tell(f"mim4dd: {error}")
        return error.exit_code
    except MimError as error:
        return _told(error, as_json)
    except Exception as error:
        if isinstance(error, PermissionError) and error.filename:  # whichever place was asked first
            return _told(DataError(f"cannot look at {error.filename}: {error.strerror}"), as_json)
        sentence = crash_sentence(error)
        tell(sentence)
        return _fail({"error": sentence, "kind": type(error).__name__, "exit_code": 1}, as_json, 1)
    return code if isinstance(code, int) else 0


def _refused_number(error: typer.TyperException) -> str:
    """What is wrong with a number that an option was given, as it is said of a setting; empty of anything else."""
    from pydantic import ValidationError

    from engine.config.validate import written

    cause, option = error.__cause__, getattr(error, "param", None)
    if not isinstance(cause, ValidationError):
        return ""
    wrong, least = cause.errors()[0], getattr(option, "min", None)
    if wrong["type"] not in ("int_parsing", "int_parsing_size", "float_parsing", "greater_than_equal"):
        return ""
    whole = wrong["type"].startswith("int") or isinstance(wrong.get("ctx", {}).get("ge"), int)
    must = f"{'an integer' if whole else 'a number'}{'' if least is None else f' at least {least}'}"
    return f"{written(wrong['input'])} is not allowed; it must be {must}"


def _show_usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    if context is not None:
        tell(f"{context.get_usage()}\nTry '{context.command_path} {context.help_option_names[0]}' for help.\n")
    tell(f"Error: {error.format_message()}")


def _told(error: MimError, as_json: bool) -> int:
    tell(f"mim4dd: {error}")
    abandoned = isinstance(error, AbandonedError)
    return _fail(error_document(error), as_json, -error.exit_code if abandoned else error.exit_code)


def _fail(document: dict[str, object], as_json: bool, code: int) -> int:
    if as_json:
        with suppress(output.RefusedError, ValueError):
            output.write_json(document)
    return code
