"""Copies of a store; a full disk."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time

from relay_harness import NetworkScenario
from rotten import ENTRIES, PAGE, Rotten
from scenario import CULM, OK, STORE, USAGE, main


class Backup(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(ENTRIES), key=self.key)

    def test_a_backup_is_a_store(self):
        report = self.json("backup", "copy")
        self.assertEqual(os.listdir(self.path("copy")), ["data.mdb"])
        self.assertEqual(report["bytes"], os.path.getsize(self.path("copy/data.mdb")))
        self.assertIn("lies in the store", self.error(USAGE, "backup", "store/copy"))
        for file in "me.key", "me.key/copy":
            said = self.error(USAGE, "backup", file)
            self.assertIn("next: name a directory that is empty, or not there yet\n", said)
        self.assert_sound("copy")
        self.assertEqual(self.printed("copy", self.author), self.lines(ENTRIES))
        self.assertEqual(self.json("ls"), self.json("ls", store="copy"))
        self.out("append", "--key", self.keygen("other")[0], stdin=b"more", store="copy")

    def test_a_backup_beside_a_node_that_writes_is_of_one_moment(self):
        self.relay("store", "--accept-any")
        for n in range(5):
            writing = subprocess.Popen(
                [CULM, "append", "--key", self.key[0], "--lines"], cwd=self.place,
                env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            writing.stdin.write(b"".join(b"more %d\n" % m for m in range(2000)))
            writing.stdin.close()
            self.out("backup", f"copy{n}")
            self.assertEqual(writing.wait(timeout=60), 0)
            self.assert_sound(f"copy{n}")

    def test_of_a_damaged_store_nothing_is_left_and_repair_is_the_next_step(self):
        data = self.place / "store/data.mdb"
        good = data.read_bytes()
        (self.place / "there").mkdir()
        refused = 0
        for page in range(0, len(good) // PAGE, 8):
            data.write_bytes(good[:page * PAGE] + bytes(PAGE) + good[(page + 1) * PAGE:])
            for copy in ("copy", "there"):
                done = subprocess.run([CULM, "backup", copy], cwd=self.place, timeout=60,
                                      env=self.environment, capture_output=True)
                said = done.stderr.decode()
                self.assertIn(done.returncode, (OK, STORE), said)
                if done.returncode == STORE:
                    refused += 1
                    self.assertIn("`culm repair --dry-run`", said)
                    self.assertIn("`culm repair`, which keeps the file as it is beside", said)
                    self.assertNotIn("mdb.c", said)
                    self.assertEqual(said.count("damaged"), 2, said)
                    self.assertFalse((self.place / "copy").exists())
                    self.assertEqual(list((self.place / "there").iterdir()), [])
                shutil.rmtree(self.path("copy"), ignore_errors=True)
                for file in (self.place / "there").iterdir():
                    file.unlink()
        self.assertGreater(refused, 0)

    def test_a_place_that_is_not_empty_is_refused_and_left_as_it_is(self):
        os.mkdir(self.path("full"))
        self.write("full/mine", "text")
        self.assertIn("full: the directory is not empty", self.error(USAGE, "backup", "full"))
        self.assertEqual(os.listdir(self.path("full")), ["mine"])
        self.error(USAGE, "backup", "store")
        self.out("backup", "copy")
        self.error(USAGE, "backup", "copy")
        os.mkdir(self.path("empty"))
        self.out("backup", "empty")
        self.assert_sound("empty")

    def test_a_backup_that_is_killed_leaves_nothing_that_passes_for_one(self):
        self.new_log(("x" * 30000 for _ in range(2000)), key=self.keygen("big"))
        seen = set()
        for n in range(12):
            copy = f"killed{n}"
            backup = self.start("backup", copy)
            part = self.path(f"{copy}/data.mdb.part")
            deadline = time.monotonic() + 30
            while not os.path.exists(part) and backup.poll() is None:
                self.assertLess(time.monotonic(), deadline)
            while (backup.poll() is None and os.path.exists(part)
                   and os.path.getsize(part) < n * 5_000_000):
                self.assertLess(time.monotonic(), deadline)
            backup.send_signal(signal.SIGKILL)
            backup.wait(timeout=30)
            if os.path.exists(part):
                with open(part) as file:
                    fcntl.flock(file, fcntl.LOCK_EX)  # the process that copied has ended, too
            is_whole = os.path.exists(self.path(f"{copy}/data.mdb"))
            seen.add(is_whole)
            if is_whole:
                self.assert_sound(copy)
                continue
            self.error(3, "verify", store=copy)
            self.out("backup", copy)
            self.assertEqual(os.listdir(self.path(copy)), ["data.mdb"])
            self.assert_sound(copy)
        self.assertIn(False, seen)


class FullDisk(NetworkScenario):
    """Disks of few megabytes, in a namespace of their own."""

    def in_small_place(self, script, megabytes=6):
        """The lines that `script` prints on such a disk."""
        probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
        if probe.returncode != 0:
            self.skipTest("no namespace to mount a small disk in")
        os.mkdir(self.path("disk"))
        text = (f"set -u; mount -t tmpfs -o size={megabytes}m none {self.path('disk')}\n"
                f"export CULM_STORE={self.path('disk')}/store\n{script}")
        done = subprocess.run(["unshare", "-rm", "bash", "-c", text], cwd=self.place,
                              env={**self.environment, "C": CULM}, capture_output=True,
                              timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode().splitlines()

    FILL = """
      $C keygen me.key >author
      A=$(cat author)
      for i in $(seq 300); do head -c 30000 /dev/urandom | base64 -w 3000; done >input
      $C append --key me.key --lines <input >/dev/null 2>&1
      echo append $?
      cat /dev/zero >disk/rest 2>/dev/null
      echo free $(df --output=avail disk | tail -1)
    """

    def test_payloads_are_deleted_on_a_full_disk(self):
        lines = self.in_small_place(self.FILL + """
          $C --json delete $A --payloads --range 1-1000 >deleted; echo delete $?
          $C verify >/dev/null; echo verify $?
          seq 100 | $C append --key me.key --lines >/dev/null; echo append $?
          $C delete $A --payloads --range 1001- >/dev/null; echo delete $?
          $C verify >/dev/null; echo verify $?
        """)
        self.assertEqual(lines, ["append 5", "free 0", "delete 0", "verify 0", "append 0",
                                 "delete 0", "verify 0"])
        with open(self.path("deleted")) as file:
            self.assertGreater(json.load(file)["deleted"], 100)

    def test_what_was_deleted_has_room_for_the_next_append_at_once(self):
        lines = self.in_small_place("""
          $C keygen me.key >author; A=$(cat author); head -c 300000 /dev/urandom >large
          while $C append --key me.key large >/dev/null 2>&1; do :; done
          $C delete $A --payloads --range 1-4 >/dev/null; echo delete $?
          $C append --key me.key large >/dev/null; echo append $?
          $C verify >/dev/null; echo verify $?
        """, megabytes=3)
        self.assertEqual(lines, ["delete 0", "append 0", "verify 0"])

    def test_a_repair_says_how_much_room_it_needs_to_look_and_to_mend(self):
        lines = self.in_small_place(self.FILL + """
          dd if=/dev/zero of=disk/store/data.mdb bs=4096 count=1 conv=notrunc 2>/dev/null
          $C repair --dry-run 2>said; echo dry $?; grep -c 'next: free as much as its file has' said
          $C repair 2>said; echo repair $?; grep -c 'next: free as much as its file has' said
        """)
        self.assertEqual(lines[2:], ["dry 5", "1", "repair 5", "1"])

    def deletes_in_small_steps(self, before="", after=""):
        """What free pages there are is less than one transaction for all of it writes."""
        lines = self.in_small_place(f"""
          $C keygen me.key >author; A=$(cat author)
          for i in $(seq 90); do head -c 30000 /dev/urandom | base64 -w 0; echo; done >input
          $C append --key me.key --lines <input >/dev/null 2>&1; echo append $?
          {before}
          cat /dev/zero >disk/rest 2>/dev/null; echo free $(df --output=avail disk | tail -1)
          $C --json delete $A --payloads --range 2-60,70 >deleted; echo delete $?
          $C delete $A --payloads --range 1- >/dev/null; echo delete $?
          {after}
          $C verify >/dev/null; echo verify $?
        """)
        self.assertEqual(lines, ["append 0", "free 0", "delete 0", "delete 0", "verify 0"])
        with open(self.path("deleted")) as file:
            report = json.load(file)
        self.assertEqual((report["seqnums"], report["payloads"]), ("2-60,70", 30))

    def test_payloads_of_a_range_are_deleted_in_small_steps(self):
        self.deletes_in_small_steps()

    def test_beside_a_node_as_well(self):
        self.deletes_in_small_steps("""
          $C relay --listen 127.0.0.1:0 >ready 2>said & R=$!
          until grep -sq 'listens at' ready; do kill -0 $R || exit 1; done""", "kill $R; wait $R")


if __name__ == "__main__":
    main()
