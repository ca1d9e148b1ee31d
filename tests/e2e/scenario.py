"""What the scenarios share: a place of their own, and the real `culm` to run in it."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CULM = os.environ.get("CULM", "culm")
SOURCE = pathlib.Path(__file__).resolve().parents[2]
VECTORS = pathlib.Path(os.environ.get("CULM_SHARED_VECTORS", SOURCE / "../shared/vectors"))

sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "tests/interop"))
import reference  # noqa: E402, F401: found only now, and taken from here by the scenarios

# An address of loopback for this process alone: no other takes a port of it that is to be free.
HOST = f"127.{1 + (os.getpid() >> 16)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"

OK, USAGE, NOT_FOUND, VERIFICATION, STORE, NETWORK, FORK, LOCKED = 0, 2, 3, 4, 5, 6, 7, 8
INTERRUPTED, READER_GONE = 130, 141
F_OFD_SETLK = 37  # of Linux, which Python does not name
# Verbs whose output may hold words that somebody wrote into a log, and the manual.
PRINT_WHAT_LOGS_HOLD = ("cat", "export", "follow", "help", "inspect", "log")
NETWORK_OPTIONS = ("--network", "--network-key", "--peer-key")


class Scenario(unittest.TestCase):
    """A test in an empty directory with a store of its own."""

    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="culm-e2e-"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        self.environment = {**os.environ, "CULM_STORE": str(self.place / "store"),
                            "CULM_MARKS": str(self.place / "marks"),
                            "XDG_DATA_HOME": str(self.place / "data")}

    def path(self, name):
        return str(self.place / name)

    def write(self, name, content):
        content = content.encode() if isinstance(content, str) else content
        (self.place / name).write_bytes(content)
        return self.path(name)

    def run_culm(self, *arguments, status=OK, stdin=b"", store=None, **options):
        """The finished process; its exit status must be `status`, or one of a tuple of them."""
        environment = dict(self.environment)
        if store:
            environment["CULM_STORE"] = self.path(store)
        done = subprocess.run([CULM, *map(str, arguments)], input=stdin, cwd=self.place,
                              env=environment, stdout=options.pop("stdout", subprocess.PIPE),
                              stderr=subprocess.PIPE, timeout=100, **options)
        said = f"culm {' '.join(map(str, arguments))[:300]}\n{done.stdout}\n{done.stderr.decode()}"
        self.assertIn(done.returncode, status if isinstance(status, tuple) else (status,), said)
        if done.returncode != OK and b"--json" not in [str(a).encode() for a in arguments]:
            self.assertIn(b"culm: ", done.stderr, said)
        self.assertNotIn(b"internal error", done.stderr)
        said = done.stderr.decode(errors="replace")
        self.assert_commands_name_one_log(said, arguments)
        if done.stdout and not {"-h", "--help", *PRINT_WHAT_LOGS_HOLD} & set(map(str, arguments)):
            said += done.stdout.decode(errors="replace")
        self.assert_commands_go_where_these_do(said, arguments)
        return done

    def assert_commands_name_one_log(self, said, arguments):
        """A bare author is all logs of the author: a command that is printed says .0, unless the
        user's own words are in it."""
        given = set(map(str, arguments))
        for command in re.findall(r"`[^`]*\bculm [^`]*`", said):
            bare = re.findall(r"(?<![\w.=])[0-9a-f]{12,64}(?![\w.])", command)
            self.assertLessEqual(set(bare), given, command)

    def assert_commands_go_where_these_do(self, said, arguments):
        """The store that was named is in each command that goes to one, and the network in each
        that connects: what is left out is pasted to another store, or asks nobody."""
        def options_in(words):
            return {word.split("=")[0] for word in words} & {"--store", *NETWORK_OPTIONS}

        given = options_in(map(str, arguments))
        for command, there in re.findall(r"`([^`\n]*\bculm [^`\n]*)`( there)?", said):
            verb = re.search(r"\bculm (?:--store(?: |=)(?:'[^']*'|\S+) )?(\S+)", command)[1]
            connects = verb in ("sync", "append") or (verb == "repair" and " --from" in command)
            of_verb = {"--store"} | (set(NETWORK_OPTIONS) if connects else set())
            if there or verb in ("help", "keygen", "relay") or "--help" in command:
                continue
            self.assertLessEqual(given & of_verb, options_in(command.split()), command)

    def out(self, *arguments, **options):
        return self.run_culm(*arguments, **options).stdout

    def text(self, *arguments, **options):
        return self.out(*arguments, **options).decode()

    def error(self, status, *arguments, **options):
        return self.run_culm(*arguments, status=status, **options).stderr.decode()

    def paste(self, said, pick, status=OK, **placeholders):
        """Runs the printed command that `pick` is found in, as a shell does, and returns what that
        says; `placeholders`: what to put in place of words such as FILE."""
        found = set(re.findall(rf"`(culm [^`]*{pick}[^`]*)`", said))
        self.assertEqual(len(found), 1, said)
        command = found.pop()
        for name, value in placeholders.items():
            command = command.replace(name, value)
        command = f"culm() {{ '{CULM}' \"$@\"; }}; set -o pipefail; {command}"
        done = subprocess.run(["bash", "-c", command], cwd=self.place, env=self.environment,
                              capture_output=True, timeout=100)
        self.assertEqual(done.returncode, status, (command, done.stderr.decode()))
        return done.stdout.decode() + done.stderr.decode()

    def json_lines(self, *arguments, **options):
        return self.parse_lines(self.out(*arguments, "--json", **options))

    @staticmethod
    def parse_lines(said):
        """But for those of damaged files that a repair has kept: kept_scenario looks at these."""
        lines = [json.loads(line) for line in said.splitlines()]
        return [line for line in lines if line.get("type") != "kept_file"]

    def json(self, *arguments, status=OK, **options):
        """The only line on standard output; or, when it fails, the failure on standard error."""
        done = self.run_culm(*arguments, "--json", status=status, **options)
        lines = self.parse_lines(done.stdout if status == OK else done.stderr)
        self.assertEqual(len(lines), 1, lines)
        line = lines[0]
        if status != OK:
            self.assertEqual((line["type"], line["exit"]), ("failure", status))
        return line

    def start(self, *arguments, **options):
        """A running process; killed in the end if it still runs."""
        process = subprocess.Popen([CULM, *map(str, arguments)], cwd=self.place,
                                   env=self.environment,
                                   stdout=options.pop("stdout", subprocess.PIPE),
                                   stderr=subprocess.PIPE, **options)
        self.addCleanup(self._end, process)
        return process

    @staticmethod
    def _end(process):
        process.kill()
        process.communicate()

    def keygen(self, name="me.key"):
        """(key file, author)"""
        return self.path(name), self.text("keygen", name).strip()

    def mark(self, author):
        """The author mark of log 0."""
        return self.path(f"marks/{author}.0.mark")

    @contextlib.contextmanager
    def other_machine(self):
        """With the marks that `copy_marks` has put there: a key in use in two places forks."""
        here = self.environment["CULM_MARKS"]
        self.environment["CULM_MARKS"] = self.path("other-marks")
        yield
        self.environment["CULM_MARKS"] = here

    @contextlib.contextmanager
    def somebody_else(self):
        """Who has appended to another log alone."""
        with self.other_machine():
            if not (self.place / "others").exists():
                self.new_log(["x"], key=self.keygen("other.key"), store="others")
            yield

    def copy_marks(self):
        shutil.copytree(self.path("marks"), self.path("other-marks"))

    def new_log(self, lines, *arguments, key=None, store=None):
        """Appends lines; the author."""
        path, author = key or self.keygen()
        text = "".join(f"{line}\n" for line in lines).encode()
        self.out("append", "--key", path, "--lines", *arguments, stdin=text, store=store)
        return author


def main():
    program = unittest.main(exit=False)
    result = program.result
    if result.testsRun and len(result.skipped) == result.testsRun:
        print("all tests were skipped:", result.skipped[0][1])
    sys.exit(not result.wasSuccessful())
