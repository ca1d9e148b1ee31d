"""A repair whose process ends before it is done."""

import fcntl
import json
import os
import shutil
import signal
import struct
import time

from rotten import ENTRIES, PAGE, Rotten
from scenario import INTERRUPTED, NOT_FOUND, main

LEFT = ENTRIES - 1
F_SETPIPE_SZ = 1031


class RepairEnded(Rotten):
    def setUp(self):
        super().setUp()
        # The signal is what the program looks at; a sanitizer would report it instead.
        self.environment["ASAN_OPTIONS"] = "handle_segv=0:handle_sigbus=0:handle_abort=0"
        self.key, self.author = self.keygen()
        self.new_log(self.lines(ENTRIES), key=(self.key, self.author))
        self.out("append", "--key", self.key, "--log-id", "1", "--lines",
                 stdin=b"".join(b"entry %d of another log\n" % n for n in range(ENTRIES)))
        self.data = self.place / "store/data.mdb"
        self.whole = self.data.read_bytes()
        self.rot_payload("store", 77)

    def rot_free_list(self):
        """What LMDB takes first is empty and newer than the next: no look at the file asks that,
        and a write is led astray by it."""
        content = bytearray(self.data.read_bytes())
        meta = content.index(self.newest_meta(content))
        root = int.from_bytes(content[meta + 80:meta + 88], "little") * PAGE
        lower, upper = struct.unpack_from("<HH", content, root + 12)
        places = bytes(content[root + 16:root + lower])
        upper -= 24
        struct.pack_into("<HHHHQQ", content, root + upper, 8, 0, 0, 8, 2, 0)
        struct.pack_into("<HHH", content, root + 12, lower + 2, upper, upper)
        content[root + 18:root + lower + 2] = places
        struct.pack_into("<Q", content, root + int.from_bytes(places[:2], "little") + 8, 1)
        struct.pack_into("<Q", content, meta + 72, 1 + len(places) // 2)
        self.data.write_bytes(content)

    def payloads(self):
        return [log["payloads"] for log in self.json_lines("ls")]

    def wait_until(self, is_so):
        deadline = time.monotonic() + 60
        while not is_so():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def start_unheard(self, *arguments):
        """A repair that waits where it first says something, and what gives its words, and ends
        the wait."""
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, PAGE)
        os.write(writer, bytes(PAGE))
        process = self.start("repair", *arguments, stdout=writer)
        os.close(writer)

        def hear():
            with os.fdopen(reader, "rb") as said:
                return said.read()[PAGE:].decode()
        return process, hear

    def test_where_a_page_ends_the_process_that_drops_rows_another_writes_the_file_again(self):
        peer = self.relay("peer", "--accept-any")
        (self.place / "author").mkdir()
        (self.place / "author/data.mdb").write_bytes(self.whole)
        self.out("sync", peer.address, "--push", self.author, store="author")
        self.rot_free_list()
        self.assertNotIn("write the file again", self.text("repair", "--dry-run"))
        done = self.run_culm("repair", status=NOT_FOUND)
        first, kept, second, *_ = done.stdout.decode().splitlines()
        self.assertIn("wrote the file again with what can be read of it", first)
        self.assertIn("kept the damaged file as", kept)
        self.assertIn("dropped 1 payload: 77", second)
        self.assertIn("the store is sound again", done.stderr.decode())
        self.out("repair", "--from", peer.address)
        self.assert_sound("store")
        self.assertEqual(self.payloads()[0], ENTRIES)

    def test_ctrl_c_and_sigterm_end_the_other_process_as_well(self):
        self.rot_free_list()
        rotten = self.data.read_bytes()
        for number, status in (signal.SIGINT, INTERRUPTED), (signal.SIGTERM, -signal.SIGTERM):
            shutil.rmtree(self.place / "store")
            self.data.parent.mkdir()
            self.data.write_bytes(rotten)
            process, hear = self.start_unheard()
            before = self.data.stat().st_ino
            salvage = self.data.parent / "salvage"
            self.wait_until(lambda: salvage.exists() or self.data.stat().st_ino != before)
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=60), status)
            self.assertEqual(process.stderr.read().decode(),
                             "culm: repair: interrupted: some may be dropped or replaced; "
                             "the same command goes on\n")
            hear()
            self.error(NOT_FOUND, "repair")
            self.assertEqual(self.payloads()[0], LEFT)

    def test_what_was_dropped_of_a_log_is_said_before_the_next_may_end_the_process(self):
        self.rot("store", b"entry 400 of")
        process, hear = self.start_unheard("--json")
        self.wait_until(lambda: self.payloads()[0] == LEFT)
        content = bytearray(self.data.read_bytes())
        place = content.find(b"ntry 400 of")
        while place != -1:
            page = place // PAGE * PAGE
            content[page:page + PAGE] = bytes(PAGE)
            place = content.find(b"ntry 400 of")
        with open(self.data, "r+b") as file:
            file.write(content)
        lines = [json.loads(line) for line in hear().splitlines()]
        self.assertEqual(process.wait(timeout=60), NOT_FOUND, process.stderr.read())
        self.assertEqual([(line["type"], line.get("log"), line.get("damaged_payloads"))
                          for line in lines if line["type"] == "dropped"][0],
                         ("dropped", self.author, "77"))
        self.assertEqual([line["type"] for line in lines][:3],
                         ["dropped", "written_again", "dropped"])
        self.assertEqual(lines[2]["log"], f"{self.author}.1")
        self.assertNotEqual(lines[2]["damaged_entries"], "")

    def test_an_end_that_is_none_of_the_stores_writes_no_file_again(self):
        for number in signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS:
            self.data.write_bytes(self.whole)
            self.rot_payload("store", 77)
            process, hear = self.start_unheard()
            self.wait_until(lambda: self.payloads()[0] == LEFT)
            before = self.data.stat().st_ino
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
                os.kill(int(children.read()), number)
            self.assertEqual(process.wait(timeout=60), -number)
            self.assertNotIn(b"damaged", process.stderr.read())
            self.assertEqual(hear(), "")
            self.assertEqual(self.data.stat().st_ino, before)


if __name__ == "__main__":
    main()
