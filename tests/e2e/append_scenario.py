import os
import pathlib
import re
import resource
import subprocess

from scenario import CULM, FORK, NOT_FOUND, OK, STORE, USAGE, Scenario, main


# A sanitizer reserves more address space than the limit of a test allows.
SANITIZED = bool(os.environ.get("CULM_SANITIZE"))


class Append(Scenario):
    def test_a_link_that_leads_nowhere_is_no_directory_for_marks(self):
        os.symlink("nowhere", self.path("marks"))
        key, _ = self.keygen()
        said = self.error(STORE, "append", "--key", key, stdin=b"x")
        self.assertIn("what lies where a directory has to be is none, as a link that leads", said)

    def test_lines_come_back_byte_for_byte(self):
        lines = b"".join(b"line %d \xff\x00\r\n" % n for n in range(1, 3001)) + b"\n\n"
        key, author = self.keygen()
        report = self.json("append", "--key", key, "--lines", self.write("in", lines))
        self.assertEqual((report["entries"], report["first"], report["head"]), (3002, 1, 3002))
        self.assertEqual(self.out("cat", author, "--lines"), lines)

    def test_a_last_line_without_line_end_counts(self):
        author = self.new_log([])
        self.out("append", "--key", "me.key", "--lines", stdin=b"a\nb")
        self.assertEqual(self.out("cat", author, "--lines"), b"a\nb\n")

    def test_each_file_is_one_entry_and_so_is_standard_input(self):
        key, author = self.keygen()
        self.out("append", "--key", key, self.write("a", "one"), self.write("b", ""), "-",
                 stdin=b"three")
        self.out("append", "--key", key, stdin=b"four")
        sizes = [line["payload_size"] for line in self.json_lines("log", author)]
        self.assertEqual(sizes, [3, 0, 5, 4])
        self.assertEqual(self.out("cat", author), b"onethreefour")

    def test_a_large_payload_comes_back(self):
        key, author = self.keygen()
        payload = os.urandom(5_000_001)
        self.out("append", "--key", key, self.write("big", payload))
        self.assertEqual(self.out("cat", author), payload)
        self.out("verify", author)

    def test_no_input_appends_nothing(self):
        key, author = self.keygen()
        self.assertEqual(self.json("append", "--key", key, "--lines")["entries"], 0)

    def test_an_empty_payload_is_said(self):
        key, _ = self.keygen()
        said = lambda *a, **o: self.text("append", "--key", key, *a, **o)  # noqa: E731
        self.assertTrue(said().startswith("appended 1 entry with an empty payload, seqnum 1, in "))
        self.assertTrue(said("--lines", stdin=b"\n\n").startswith(
            "appended 2 entries with empty payloads, seqnum 2-3, in "))
        self.assertTrue(said(stdin=b"x").startswith("appended 1 entry (1 B), seqnum 4, in "))

    def test_log_ids_are_logs_of_their_own(self):
        key, author = self.keygen()
        for log_id in 0, 7, 18446744073709551615:
            self.out("append", "--key", key, "--log-id", log_id, stdin=b"of %d" % log_id)
        self.assertEqual(self.out("cat", author + ".7"), b"of 7")
        self.assertEqual(self.out("cat", author[:8] + ".18446744073709551615"),
                         b"of 18446744073709551615")
        self.assertEqual(self.out("cat", author[:8] + ".0"), b"of 0")
        self.assertEqual(self.out("cat", author[:8]), b"of 0of 7of 18446744073709551615")

    def test_end_closes_the_log_for_good(self):
        key, author = self.keygen()
        self.out("append", "--key", key, "--end", self.write("last", "words"))
        self.assertEqual(self.json("ls")["end_of_log"], 2)
        self.assertIn("ended", self.text("ls"))
        self.assertIn("log has ended", self.error(FORK, "append", "--key", key, stdin=b"more"))
        self.assertIn("log has ended", self.error(FORK, "append", "--key", key, "--end"))
        self.out("append", "--key", key, "--log-id", 1, stdin=b"another log")

    def end(self, key, stdin):
        return subprocess.run([CULM, "append", "--key", key, "--end"], stdin=stdin, text=True,
                              cwd=self.place, env=self.environment, capture_output=True,
                              timeout=60)

    def test_end_alone_is_refused_where_standard_input_is_not_empty(self):
        key, author = self.keygen()
        piped, writer = os.pipe()
        os.write(writer, b"bye")
        file = os.open(self.write("bye", "bye"), os.O_RDONLY)
        for stdin in piped, file:
            done = self.end(key, stdin)
            self.assertEqual(done.returncode, USAGE, done.stderr)
            self.assertIn("- appends it before", done.stderr)
            self.assertIn("append --key", done.stderr)
            self.assertFalse(os.path.exists(self.path("store")))
        # What was read is in none of them; of a pipe that stays open nothing is waited for.
        os.read(piped, 3)
        os.read(file, 3)
        self.assertEqual(self.end(key, piped).returncode, OK)
        self.assertEqual(self.json("ls")["head"], 1)
        self.assertIn("log has ended", self.end(key, file).stderr)
        for descriptor in piped, writer, file:
            os.close(descriptor)

    def test_end_alone_does_not_read_standard_input(self):
        key, author = self.keygen()
        said = self.text("append", "--key", key, "--end")
        self.assertIn("appended 1 entry with an empty payload, seqnum 1, in ", said)
        self.assertEqual(self.json("ls")["head"], 1)
        self.assertEqual(self.out("cat", author), b"")

    def test_the_last_lines_are_named(self):
        key, author = self.keygen()
        self.assertIn("name what to read", self.error(USAGE, "append", "--key", key, "--lines",
                                                      "--end", stdin=b"one\ntwo\n"))
        self.out("append", "--key", key, "--lines", "--end", "-", stdin=b"one\ntwo\n")
        self.assertEqual(self.json("ls")["head"], 3)

    def test_lines_are_appended_as_they_are_typed(self):
        key, author = self.keygen()
        writer = self.start("append", "--key", key, "--lines", stdin=subprocess.PIPE)
        writer.stdin.write(b"first\n")
        writer.stdin.flush()
        follower = self.start("follow", author, "--from-start", "--payloads", "--lines",
                              "--until", 1) if self.wait_for_store() else None
        self.assertEqual(follower.stdout.readline(), b"first\n")
        writer.communicate(timeout=60)
        self.assertEqual(writer.returncode, 0)

    def wait_for_store(self):
        watcher = subprocess.run(
            ["bash", "-c", f"until '{CULM}' ls >/dev/null 2>&1; do :; done"],
            env=self.environment, timeout=60)
        return watcher.returncode == 0

    def test_what_cannot_be_read_is_refused_before_anything_is_written(self):
        key, _ = self.keygen()
        good = self.write("good", "x")
        self.assertIn("missing", self.error(NOT_FOUND, "append", "--key", key, good, "missing"))
        self.error(USAGE, "append", "--key", key, good, self.place)
        self.error(USAGE, "append", "--key", key, good, "")
        self.assertFalse((self.place / "store").exists())

    def test_text_in_place_of_a_file_is_told_how_it_goes_in(self):
        key, author = self.keygen()
        said = self.error(NOT_FOUND, "--store", "there", "append", "--key", key, "it's me",
                          "--log-id", 4)
        step = re.search(r"text goes in by a pipe: `(echo [^`]*\| )culm ([^`]*)`", said)
        subprocess.run(["bash", "-c", f"{step[1]}'{CULM}' {step[2]}"], cwd=self.place, check=True,
                       env=self.environment, stdout=subprocess.DEVNULL)
        self.assertEqual(self.out("cat", author + ".4", store="there"), b"it's me\n")

    def test_a_closed_standard_input_is_refused(self):
        key, _ = self.keygen()
        done = subprocess.run(["bash", "-c", f"'{CULM}' append --key '{key}' <&-"],
                              env=self.environment, capture_output=True)
        self.assertEqual(done.returncode, USAGE, done.stderr)
        self.assertFalse((self.place / "store").exists())

    def test_a_payload_above_the_limit_is_refused(self):
        key, _ = self.keygen()
        huge = pathlib.Path(self.path("huge"))
        with open(huge, "wb") as file:
            file.truncate(2**32 + 1)
        limit = lambda: SANITIZED or resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))
        self.assertIn("larger than the limit",
                      self.error(USAGE, "append", "--key", key, huge, preexec_fn=limit))
        self.assertFalse((self.place / "store").exists())

    def test_memory_does_not_grow_with_the_input(self):
        key, _ = self.keygen()
        peaks = []
        for count in 2_000, 60_000:
            lines = self.write("in", b"".join(b"some line %d\n" % n for n in range(count)))
            script = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
                      "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
            done = subprocess.run(
                ["python3", "-c", script, CULM, "--json", "append", "--key", key, "--lines", lines],
                env=self.environment, capture_output=True, timeout=100, check=True)
            peaks.append(int(done.stdout.split()[-1]))
        # Pages of the mapped store count as well; a log of 60,000 entries takes 20 MB there.
        self.assertLess(peaks[1] - peaks[0], 60_000, peaks)


if __name__ == "__main__":
    main()
