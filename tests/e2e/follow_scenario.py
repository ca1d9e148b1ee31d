import json
import select
import subprocess
import time

from scenario import NOT_FOUND, OK, USAGE, Scenario, main


class Follow(Scenario):
    def setUp(self):
        super().setUp()
        self.author = self.new_log(["one", "two"])

    def append(self, text):
        self.out("append", "--key", "me.key", "--lines", stdin=text)

    def wait_until_it_looks(self, process):
        """Appends until the follower has printed something; the first seqnum it printed."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.append(b"wake up\n")
            if select.select([process.stdout], [], [], 1)[0]:
                return json.loads(process.stdout.readline())["seqnum"]
        self.fail("follow prints nothing")

    def test_new_entries_are_printed_as_they_come_and_old_ones_are_not(self):
        process = self.start("follow", self.author, "--json")
        first = self.wait_until_it_looks(process)
        self.assertGreater(first, 2)
        self.append(b"a\nb\n")
        head = self.json("ls")["head"]
        seqnums = [first]
        while seqnums[-1] != head:
            seqnums.append(json.loads(process.stdout.readline())["seqnum"])
        self.assertEqual(seqnums, list(range(first, head + 1)))

    def test_from_start_prints_all_payloads_until_the_one_named(self):
        process = self.start("follow", self.author, "--from-start", "--payloads", "--lines",
                             "--until", 5)
        self.append(b"three\nfour\n")
        self.append(b"five\nsix\n")
        out, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (OK, b"one\ntwo\nthree\nfour\nfive\n"))

    def test_what_was_there_already_ends_it_at_once(self):
        done = self.run_culm("follow", self.author, "--until", 2)
        self.assertEqual((done.stdout, done.stderr), (
            b"", b"culm: follow: entry 2 is held already; with --from-start it is printed\n"))
        done = self.run_culm("follow", self.author, "--until", 2, "--json")
        self.assertEqual((done.stdout, done.stderr), (b"", b""))
        self.assertIn("One that is held already is printed with --from-start, and else ends it at "
                      "once", " ".join(self.text("help", "follow").split()))

    def test_what_will_not_come_is_not_waited_for(self):
        self.append("".join(f"{n}\n" for n in range(3, 31)).encode())
        self.out("export", self.author, "--jsonl", "--range", "20-30", "-o", "part")
        self.out("import", "--jsonl", "part", store="other")
        follow = ("follow", self.author, "--from-start", "--until")
        done = self.run_culm(*follow, 15, "--json", status=NOT_FOUND, store="other")
        self.assertEqual([json.loads(line)["seqnum"] for line in done.stdout.splitlines()],
                         [1, 4, 13])
        self.assertEqual(json.loads(done.stderr)["error"], "entry_not_held")
        self.assertIn("the payload is not held: 13",
                      self.error(NOT_FOUND, *follow, 13, "--payloads", store="other"))
        self.out("delete", self.author, "--payloads", "--range", "30")
        self.assertIn("was deleted here: 30", self.error(NOT_FOUND, *follow, 30, "--payloads"))
        self.out("append", "--key", "me.key", "--end")
        self.assertIn("entry 32 will not come: the author ended the log with 31",
                      self.error(NOT_FOUND, *follow, 32))

    def test_all_logs_are_followed_without_a_name(self):
        process = self.start("follow", "--from-start", "--json")
        self.out("append", "--key", "me.key", "--log-id", 9, stdin=b"other")
        logs = {json.loads(process.stdout.readline())["log"] for _ in range(3)}
        self.assertEqual(logs, {self.author, self.author + ".9"})

    def test_a_log_may_come_later(self):
        path, other = self.keygen("other.key")
        process = self.start("follow", other, "--until", 1, "--payloads", "--from-start")
        self.new_log(["hello"], key=(path, other))
        out, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (OK, b"hello"))

    def test_a_store_may_come_later(self):
        key = self.keygen("other.key")
        process = self.start("--store", self.path("later"), "follow", key[1], "--until", 1,
                             "--payloads")
        self.assertIn(b"waits for store", process.stderr.readline())
        self.new_log(["hello"], key=key, store="later")
        out, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (OK, b"hello"))

    def test_an_entry_is_printed_when_it_is_committed(self):
        process = self.start("follow", self.author, "--from-start", "--json")
        for _ in range(2):
            process.stdout.readline()
        echo = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self._end, echo)
        took, echoed = [], []
        for n in range(3, 103):
            self.append(b"a\n")
            appended = time.monotonic()
            self.assertEqual(json.loads(process.stdout.readline())["seqnum"], n)
            took.append(time.monotonic() - appended)
            sent = time.monotonic()
            echo.stdin.write(b"a\n")
            echo.stdin.flush()
            echo.stdout.readline()
            echoed.append(time.monotonic() - sent)
        took.sort()
        echoed.sort()
        print(f"\nappend to follow: median {took[50] * 1000:.2f} ms, p99 {took[98] * 1000:.2f} ms")
        # Where the machine has other work each process wakes later.
        self.assertLess(took[50], 0.003 + 5 * echoed[50])

    def test_it_sleeps_while_nothing_happens(self):
        process = self.start("follow", self.author, "--from-start")
        for _ in range(2):
            process.stdout.readline()
        before = time.monotonic()
        used = self.cpu_seconds(process.pid)
        select.select([], [], [], 5)
        share = (self.cpu_seconds(process.pid) - used) / (time.monotonic() - before)
        self.assertLess(share, 0.001)

    @staticmethod
    def cpu_seconds(pid):
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9

    def test_what_cannot_be_followed_is_refused(self):
        for log in [self.author[:10]], []:  # of a whole name the store may come later
            self.error(NOT_FOUND, "follow", *log, store="none")
        self.error(NOT_FOUND, "follow", "12345678")
        self.error(USAGE, "follow", "--until", 5)
        self.error(USAGE, "follow", self.author, "--until", 0)
        self.error(USAGE, "follow", self.author, "--lines")


if __name__ == "__main__":
    main()
