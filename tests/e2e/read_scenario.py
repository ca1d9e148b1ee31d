"""ls, log and cat."""

import json
import os
import pathlib
import pty
import subprocess
import unittest

from scenario import CULM, NOT_FOUND, STORE, USAGE, Scenario, main


class Read(Scenario):
    def on_terminal(self, *arguments):
        controller, terminal = pty.openpty()
        process = subprocess.Popen([CULM, *arguments], env=self.environment, stdout=terminal,
                                   stderr=subprocess.DEVNULL)
        os.close(terminal)
        out = b""
        try:
            while part := os.read(controller, 65536):
                out += part
        except OSError:  # the terminal is gone
            pass
        os.close(controller)
        self.assertEqual(process.wait(60), 0)
        return out.replace(b"\r\n", b"\n")

    def test_ls_lists_each_log_with_its_figures(self):
        authors = [self.new_log(["x" * 1000] * n, key=self.keygen(f"{n}")) for n in (1, 3, 1500)]
        rows = {row["log"]: row for row in self.json_lines("ls")}
        self.assertEqual([rows[author]["head"] for author in authors], [1, 3, 1500])
        self.assertEqual(list(rows), sorted(authors))
        self.assertEqual(rows[authors[2]]["payload_bytes"], 1_500_000)
        text = self.text("ls")
        self.assertRegex(text, rf"(?m)^{authors[2][:12]} +1500 +1,500 +0 +1,500 +1.5 MB "
                               r"+complete to 1500$")
        self.assertIn(authors[1], self.text("ls", "--full"))
        self.assertEqual(self.json("ls", authors[1][:10])["log"], authors[1])
        self.assertEqual(self.json("ls", authors[1])["log"], authors[1])
        none = next(start for start in "0123456789abcdef"
                    if not any(author.startswith(start) for author in authors))
        self.assertIn(f'culm: ls: "{none}": ', self.error(NOT_FOUND, "ls", none))

    def test_a_store_without_logs_says_so(self):
        self.out("forget", self.new_log("a"), "--own")
        self.assertEqual(self.text("ls"), "no logs\n")
        both = subprocess.run([CULM, "ls"], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60).stdout
        self.assertRegex(both, "^no logs\n  next: `culm append` begins a log")
        self.assertEqual(self.out("ls", "--json"), b"")
        self.assertEqual(self.text("verify"), "no logs\n")

    def test_log_shows_the_entries_asked_for(self):
        author = self.new_log(f"line {n}" for n in range(1, 101))
        seqnums = lambda *a: [line["seqnum"] for line in self.json_lines("log", author, *a)]
        self.assertEqual(seqnums(), list(range(1, 101)))
        self.assertEqual(seqnums("--range", "5-7,99-"), [5, 6, 7, 99, 100])
        self.assertEqual(seqnums("--newest", 3), [98, 99, 100])
        self.assertEqual(seqnums("--range", "1-50", "--newest", 2), [49, 50])
        for verb in ["log"], ["cat"], ["export", "--jsonl"]:
            self.error(USAGE, *verb, author, "--newest", 0)
        text = lambda *a: self.text("cat", author, "--lines", *a)
        self.assertEqual(text("--newest", 3), text("--range", "-3-"))
        self.assertEqual(text("--newest", 300), text())
        self.error(USAGE, "cat", author, "--newest", 3, "--range", "1-50")
        exported = [self.text("export", author, "--jsonl", *a)
                    for a in (["--newest", 3], ["--range", "98-100"])]
        self.assertEqual(*exported)
        self.assertIn("there is no option --newest here; --range -N- names the last N entries",
                      self.error(USAGE, "delete", author, "--payloads", "--newest", 3))
        self.error(NOT_FOUND, "log", author, "--range", "101-")
        self.assertRegex(self.text("log", author), r"(?m)^ +42  verified +7 B  line 42$")

    def test_log_names_what_was_asked_for_and_is_not_held(self):
        author = self.new_log(str(n) for n in range(1, 21))
        self.out("export", author, "--jsonl", "--range", "15-20", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        held = self.json("ls", store="other")["held"]
        self.assertEqual(held, "1,4,13-20")
        for ranges, printed, missing in (("5,14", [14], "5"), ("14-25", range(14, 21), "21-25"),
                                         ("1-last", [1, 4, *range(13, 21)], "2-3,5-12"),
                                         ("19-,2", [19, 20], "2")):
            done = self.run_culm("log", author, "--range", ranges, "--json", status=NOT_FOUND,
                                 store="other")
            self.assertEqual([json.loads(line)["seqnum"] for line in done.stdout.splitlines()],
                             list(printed))
            failure = json.loads(done.stderr)
            self.assertEqual((failure["error"], failure["missing"]), ("entry_not_held", missing))
        for arguments in [], ["--range", "1-"]:
            self.assertEqual(len(self.json_lines("log", author, *arguments, store="other")), 10)
        self.assertIn(f"culm: log: {author[:12]}: the entry is not held: 5\n"
                      f"  next: `culm sync HOST:PORT {author[:12]}.0 --range 5` fetches it",
                      self.error(NOT_FOUND, "log", author, "--range", "5,14", store="other"))

    def test_log_shortens_long_payloads(self):
        key, author = self.keygen()
        self.out("append", "--key", key, stdin=b"word " * 100_000)
        line = self.text("log", author).splitlines()[-1]
        self.assertTrue(line.endswith("…"))
        self.assertLessEqual(len(line), 100)

    def test_cat_prints_the_very_bytes_into_a_pipe(self):
        key, author = self.keygen()
        payload = bytes(range(256)) * 300 + b"\x1b[31m"
        self.out("append", "--key", key, stdin=payload)
        self.assertEqual(self.out("cat", author), payload)
        self.assertEqual(bytes.fromhex(self.json("cat", author)["payload"]), payload)

    def test_cat_escapes_on_a_terminal(self):
        key, author = self.keygen()
        # Characters that lie across the parts in which a large payload is read.
        filling = ("é" * 150_000).encode()
        self.out("append", "--key", key, stdin=b"\x1b[31m a\xe2\x80\xae\n\xff" + filling)
        out = self.on_terminal("cat", author)
        self.assertEqual(out, rb"\x1b[31m a\u{202e}" + b"\n" + rb"\xff" + filling)

    def test_cat_prints_the_range_asked_for_or_nothing(self):
        author = self.new_log("abcdefghij")
        self.assertEqual(self.out("cat", author, "--range", "2-3,9-"), b"bcij")
        done = self.run_culm("cat", author, "--range", "9-12", status=NOT_FOUND)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"11-12", done.stderr)

    def test_what_a_shorter_log_of_the_author_does_not_reach_is_meant_of_the_longer_one(self):
        author = self.new_log("abc")
        self.out("append", "--key", "me.key", "--log-id", 3, stdin=b"other")
        for ranges, payloads in ("2", b"b"), ("2-", b"bc"), ("1-2", b"abother"), ("3,2", b"bc"):
            self.assertEqual(self.out("cat", author, "--range", ranges), payloads)
            self.out("export", author, "--jsonl", "--range", ranges, "-o", f"{ranges}.jsonl")
            rows = self.json_lines("log", author, "--range", ranges)
            self.assertEqual(len(rows), len(payloads.replace(b"other", b"o")))
        for verb in ["log"], ["cat"], ["export", "--jsonl"]:
            for ranges, missing in ("9", "9"), ("2-4", "4"):
                said = self.error(NOT_FOUND, *verb, author, "--range", ranges)
                self.assertRegex(said, f"not held: {missing}\n|the entry is not held\n")
            self.error(NOT_FOUND, *verb, author + ".3", "--range", 2)
        said = self.text("delete", author, "--payloads", "--range", 2, "--dry-run")
        self.assertRegex(said, r"^\w{12}: would delete 1 payload \(1 B\): 2; 2 left[^\n]*\n$")
        self.out("delete", author, "--payloads", "--range", 2)
        self.out("append", "--key", "me.key", "--log-id", 3, stdin=b"x")
        self.assertEqual(self.out("cat", author + ".3"), b"otherx")

    def test_what_a_log_of_several_lacks_below_its_head_is_missing(self):
        author = self.new_log("abcde")
        self.out("append", "--key", "me.key", "--lines", "--log-id", 3, stdin=b"x\ny\nz\n")
        self.out("delete", author + ".3", "--payloads", "--range", 2)
        with self.somebody_else():
            done = self.run_culm("cat", author, "--range", 2, status=NOT_FOUND)
        self.assertEqual(done.stdout, b"b")
        self.assertIn(f"`culm sync HOST:PORT {author[:12]}.3 --range 2 --undelete`",
                      done.stderr.decode())
        self.out("export", author + ".0", "--jsonl", "--range", "5", "-o", "part")
        self.out("export", author + ".3", "--jsonl", "-o", "whole")
        for name in "part", "whole":
            self.out("import", "--jsonl", name, store="other")
        done = self.run_culm("log", author, "--range", "3", status=NOT_FOUND, store="other")
        self.assertIn(b"the entry is not held: 3", done.stderr)
        self.assertIn(f"log {author}.3\n".encode(), done.stdout)

    def test_cat_says_how_to_get_what_it_does_not_find(self):
        author = self.new_log("abcde")
        self.out("delete", author, "--payloads", "--range", 2)
        self.out("export", author, "--jsonl", "--range", "4-5", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        for store, seqnum, step in ((None, 6, "the highest entry known here is 5"),
                                    (None, 2, f"`culm sync HOST:PORT {author[:12]}.0 --range 2 "
                                              "--undelete`"),
                                    ("other", 1, f"`culm sync HOST:PORT {author[:12]}.0 --range 1`")):
            with self.somebody_else():  # of whose logs peers have others
                said = self.error(NOT_FOUND, "cat", author, "--range", seqnum, store=store)
            self.assertIn("next: " + step, said)

    def test_what_was_deleted_is_told_from_what_is_not_held(self):
        author = self.new_log("abcdef")
        self.out("delete", author, "--payloads", "--range", "2-3")
        left_out = lambda store=None: self.run_culm("cat", author, store=store).stderr.decode()
        self.assertIn(": left out of 6 payloads: 2 deleted here\n", left_out())
        self.out("export", author, "--jsonl", "--range", "5-6", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        self.assertIn(": left out of 6 payloads: 4 not held\n", left_out("other"))
        self.out("delete", author, "--payloads", "--range", "5", store="other")
        self.assertIn(": left out of 6 payloads: 4 not held, 1 deleted here\n", left_out("other"))
        with self.somebody_else():
            said = self.error(NOT_FOUND, "cat", author, "--range", "3-6", store="other")
        self.assertIn("the payloads are not held: 3-4; deleted here: 5\n", said)
        self.assertIn(" --range 3-5 --undelete` takes", said)
        said = self.error(NOT_FOUND, "log", author, "--range", "100-102")
        self.assertIn("the entries are not held: 100-102\n", said)
        self.assertIn("the highest entry known here is 6", said)

    def test_of_many_that_are_missing_the_first_are_named(self):
        author = self.new_log("a")
        ranges = ",".join(str(seqnum) for seqnum in range(3, 4000, 2))
        for verb in ["log"], ["cat"], ["export", "--jsonl"]:
            said = self.error(NOT_FOUND, *verb, author, "--range", "1," + ranges)
            self.assertIn(": 3,5,7,9,11,13,15,17,...\n", said)
            self.assertLess(len(said), 400)
            done = self.run_culm(*verb, author, "--range", "1," + ranges, "--json",
                                 status=NOT_FOUND)
            failure = json.loads(done.stderr)
            self.assertEqual(failure["missing"], ranges)
            self.assertLess(len(failure["message"]), 200)

    def test_a_full_output_is_an_error(self):
        author = self.new_log("abc")
        for verb in ["ls"], ["log", author], ["cat", author], ["lipmaa", 5]:
            with open("/dev/full", "wb") as full:
                self.error(STORE, *verb, stdout=full)

    def test_a_closed_output_is_an_error(self):
        self.new_log("abc")
        done = subprocess.run(["bash", "-c", f"'{CULM}' ls >&-"], env=self.environment,
                              capture_output=True)
        self.assertEqual(done.returncode, STORE, done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root becomes somebody else")
    def test_a_store_of_somebody_else_can_be_looked_at(self):
        author = self.new_log("abc")
        self.place.chmod(0o755)
        for path in self.place.glob("**/*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        nobody = {"user": 65534}
        try:
            self.run_culm("--version", **nobody)
        except PermissionError:
            self.skipTest("somebody else may not run what was built")
        self.assertEqual(self.out("cat", author, **nobody), b"abc")
        for verb in (["ls"], ["log", author], ["verify"], ["export", author, "--jsonl"], ["du"],
                     ["inspect", author, 1], ["select"], ["follow", author, "--from-start",
                                                          "--until", 3]):
            self.run_culm(*verb, **nobody)
        self.assertIn("to read is enough for verbs that only read",
                      self.error(STORE, "delete", author, "--payloads", "--range", 1, **nobody))
        pathlib.Path(self.path("store/data.mdb")).chmod(0o600)
        self.assertIn("Permission denied", self.error(STORE, "ls", **nobody))


if __name__ == "__main__":
    main()
