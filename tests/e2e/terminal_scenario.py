"""What is shown on a terminal, and on nothing else: colours of states, and how far long work is."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from scenario import CULM, Scenario, main


class Terminal(Scenario):
    def start_on_terminal(self, *arguments, streams=("stdout", "stderr"), columns=0, **options):
        """(process, the side of the terminal that a person sees)"""
        person, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.addCleanup(os.close, person)
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL,
                   **options, **{stream: terminal for stream in streams}}
        process = subprocess.Popen([CULM, *map(str, arguments)], cwd=self.place,
                                   env=self.environment, **options)
        os.close(terminal)
        self.addCleanup(self._end, process)
        return process, person

    def read_until(self, person, text, seconds=60):
        """What is shown until `text` is, or, for None, until the terminal is left."""
        shown, deadline = b"", time.monotonic() + seconds
        while text is None or text not in shown:
            ready, _, _ = select.select([person], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, shown)
            try:
                part = os.read(person, 65536)
            except OSError:
                part = b""
            if not part:
                self.assertIsNone(text, shown)
                break
            shown += part
        return shown

    def shown(self, *arguments, **options):
        process, person = self.start_on_terminal(*arguments, **options)
        shown = self.read_until(person, None)
        process.wait(10)
        return shown

    def test_states_have_colours_on_a_terminal_alone(self):
        self.environment.update(TERM="xterm")
        self.environment.pop("NO_COLOR", None)
        author = self.new_log("abc")
        self.assertIn(b"\x1b[32mcomplete to 3\x1b[0m", self.shown("ls"))
        self.assertIn(b"\x1b[32mgood\x1b[0m", self.shown("verify"))
        self.out("export", author, "--jsonl", "--range", "3", "-o", "part")
        self.out("import", "--jsonl", "part", store="part-store")
        self.assertIn(b"\x1b[33mcomplete to 3, but 2 payloads not held\x1b[0m",
                      self.shown("ls", "--store", "part-store", columns=100))
        for verb in "ls", "verify":
            self.assertNotIn(b"\x1b", self.out(verb))
            self.assertNotIn(b"\x1b", self.shown(verb, "--json"))
        for plain in {"NO_COLOR": "1"}, {"TERM": "dumb"}:
            before, self.environment = self.environment, {**self.environment, **plain}
            for verb in "ls", "verify":
                self.assertNotIn(b"\x1b", self.shown(verb))
            self.environment = before

    def test_the_list_of_logs_fits_the_terminal(self):
        """Columns are left out, a state goes on below itself, and nothing of it is lost."""
        self.environment.update(TERM="xterm", NO_COLOR="1")
        self.new_log("abc", key=self.keygen("short.key"))
        author = self.new_log([f"line {n}" for n in range(2000)])
        log = author + ".0"
        self.out("delete", log, "--payloads", "--range", ",".join(str(n) for n in range(5, 900, 100)))
        self.out("select", log, "--range", "1-400,600-1990", "--entries-only")
        whole = self.text("ls").splitlines()
        self.assertGreater(max(map(len, whole)), 80)
        for columns, left_out in (80, ["certificate"]), (100, []), (120, []):
            lines = self.shown("ls", columns=columns).decode().splitlines()
            self.assertLessEqual(max(map(len, lines)), columns, lines)
            names = re.split(r" +", lines[0])
            self.assertEqual([name for name in re.split(r" +", whole[0]) if name not in names],
                             left_out)
            at = lines[0].index("state")
            states = " ".join(line[at:] for line in lines[1:])
            for row in whole[1:]:
                self.assertIn(re.split(r"  +", row)[-1], states)
        self.assertEqual(self.shown("ls", columns=200).decode().splitlines(), whole)

    def test_the_longest_name_fits_the_terminal_too(self):
        """In one piece at 80 columns, which a terminal that does not say has."""
        self.environment.update(TERM="xterm", NO_COLOR="1")
        name, number = "z" * 32, 2**64 - 1
        author = self.new_log("abc", "--log-id", number)
        self.out("delete", author, "--payloads", "--range", "2")
        self.out("name", author, name)
        for columns in 0, 80, 75, 60, 40:
            lines = self.shown("ls", columns=columns).decode().splitlines()
            self.assertLessEqual(max(map(len, lines)), columns or 80, lines)
            at = lines[0].index("state")
            self.assertEqual("".join(line[:at].strip() for line in lines[1:]), f"{name}.{number}")
            self.assertEqual(" ".join(line[at:] for line in lines[1:] if line[at:]),
                             "complete to 3, but 1 payload deleted")
            if columns in (0, 80):
                self.assertIn(f"{name}.{number}", lines[1])

    def test_a_verdict_stands_on_a_line_of_its_own(self):
        """Whatever of the bar was shown there is cleared before."""
        self.environment.update(TERM="xterm")
        for name in "one.key", "two.key":
            self.new_log([""] * 20000, key=self.keygen(name))
        shown = self.shown("verify", "--verify-threads", 1)
        self.assertIn(b"verifying", shown)
        screen = [line.rsplit(b"\r\x1b[K", 1)[-1] for line in shown.replace(b"\r\n", b"\n").split(b"\n")]
        self.assertEqual(len([line for line in screen if b"good" in line]), 2, shown)
        self.assertFalse([line for line in screen if b"verifying" in line], shown)

    def test_long_work_shows_how_far_it_is_on_a_terminal_alone(self):
        self.environment.update(TERM="xterm")
        key, author = self.keygen()
        append = ["append", "--key", key, "--lines"]
        for streams in ["stderr"], []:
            process, person = self.start_on_terminal(*append, streams=streams,
                                                     stdin=subprocess.PIPE)
            deadline = time.monotonic() + (60 if streams else 2)
            shown = b""
            while time.monotonic() < deadline and b"appending" not in shown:
                process.stdin.write(b"line\n")
                process.stdin.flush()
                if select.select([person], [], [], 0.02)[0] and streams:
                    shown += os.read(person, 65536)
            self.assertEqual(b"appending" in shown, bool(streams))
            process.stdin.close()
            process.stdin = None
            if not streams:
                self.assertEqual(process.stderr.read(), b"")
            self.assertEqual(process.wait(60), 0)


if __name__ == "__main__":
    main()
