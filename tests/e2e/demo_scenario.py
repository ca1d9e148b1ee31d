"""The demo on inputs of other kinds than this machine's package log."""

import os
import subprocess

from scenario import CULM, SOURCE, Scenario, main


class Demo(Scenario):
    def demo(self, content):
        environment = {**self.environment, "CULM": os.path.abspath(CULM),
                       "TMPDIR": str(self.place)}
        done = subprocess.run([SOURCE / "tools/dev/demo.sh", self.write("input", content)],
                              env=environment, capture_output=True, timeout=300)
        self.assertEqual([name for name in os.listdir(self.place) if name != "input"], [])
        return done

    def test_lines_of_any_kind(self):
        lines = [b"", b"\xff\x00 not text", "Zeilenumbr\u00fcche".encode(), b"\ttab\r", b"x" * 40_000]
        for ending in (b"\n", b""):
            done = self.demo(b"\n".join(lines * 70 + [b"the last"]) + ending)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(b"Every step was as it should be.", done.stdout)

    def test_too_little_input_is_refused(self):
        done = self.demo(b"one\ntwo\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"needs 10 or more", done.stderr)


if __name__ == "__main__":
    main()
