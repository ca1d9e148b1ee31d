"""What TAB does in bash: the line that a person types, and what it becomes."""

import os
import pty
import select
import shutil
import subprocess
import time
import unittest

from scenario import CULM, Scenario, main

BASH = shutil.which("bash")


@unittest.skipUnless(BASH, "needs bash")
class Bash(Scenario):
    def setUp(self):
        super().setUp()
        self.out("help", "--manuals", ".")
        os.mkdir(self.path("bin"))
        os.symlink(os.path.abspath(CULM), self.path("bin/culm"))
        environment = {**self.environment, "PS1": "", "TERM": "dumb", "INPUTRC": "/dev/null",
                       "PATH": self.path("bin") + os.pathsep + os.environ["PATH"]}
        self.person, terminal = pty.openpty()
        self.addCleanup(os.close, self.person)
        process = subprocess.Popen([BASH, "--norc", "--noprofile", "-i"], cwd=self.place,
                                   env=environment, start_new_session=True, stdin=terminal,
                                   stdout=terminal, stderr=terminal)
        os.close(terminal)
        self.addCleanup(self._end, process)
        self.type("source share/bash-completion/completions/culm\n"
                  "bind 'set bell-style none' 'set enable-bracketed-paste off'\n"
                  """bind -x '"\\C-g": printf "\\n<%s%s\\n" "$READLINE_LINE" ">"'\n""")

    def type(self, text):
        os.write(self.person, text.encode())

    def completed(self, line):
        """What `line` is after a TAB."""
        self.type(line + "\t\a")
        shown, deadline = b"", time.monotonic() + 60
        while not (b"\n<" in shown and b">" in shown.rsplit(b"\n<", 1)[1]):
            ready, _, _ = select.select([self.person], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, shown)
            shown += os.read(self.person, 65536)
        self.type("\x15")
        return shown.rsplit(b"\n<", 1)[1].split(b">")[0].decode()

    def test_what_a_line_becomes(self):
        author = self.new_log("abc")
        self.text("name", author, "alice")
        for directory in "zoo", "append", "my dir":
            os.mkdir(self.path(directory))
        self.write("my file", "")
        for line, rest in (
                ("culm app", "end "),
                ("culm cat al", "ice "),
                ("culm sync a:1 --verification f", "ull "),
                ("culm --store=z", "oo/"),
                ("culm --store z", "oo/"),
                ("culm --store=zoo app", "end "),
                ("culm --store zoo app", "end "),
                ("culm --store=zoo log al", "ice "),
                ("culm append --gate=r", "equired "),
                ("culm append --gate r", "equired "),
                ("culm append my\\ f", "ile "),
                ("culm append --key=my\\ f", "ile "),
                ("culm backup my", "\\ dir/"),
                ("culm backup my\\ d", "ir/"),
                ("culm sync al", ""),
                ("culm sync 127.0.0.1:1 al", "ice "),
                ("culm sync h:1 --also h:2 al", "ice "),
                ("culm relay --log-level w", "arning "),
                ("culm name --remove al", "ice "),
                ("culm name al", "ice "),
                ("culm name alice al", ""),
                ("culm sync h:1 --newest-f", "irst "),
                ("culm help app", "end ")):
            self.assertEqual(self.completed(line), line + rest)


if __name__ == "__main__":
    main()
