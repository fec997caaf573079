"""The command line: one file per group of commands, all registered in ``app.py``.

Results go to standard output, progress and diagnostics to standard error. Exit codes: 0 done; 1 the run (or
the program) failed; 2 wrong usage or configuration; 3 data, checkpoint or artifact missing or damaged; 4 the
run is held by another process; 130, 143, 138 stopped by Ctrl-C, SIGTERM, SIGUSR1 (to be resumed).

Where standard output is closed or its disk full, a command that only prints ends with 1; what was done (a run, an
export, a request) stays done, and the loss of its report is told on standard error.

With ``--json`` standard output carries exactly one JSON document. Where the command fails it is
``{"error": sentence, "kind": class of error, "exit_code": number}``, plus what was finished before.

Nothing here imports torch before a command needs it.
"""
