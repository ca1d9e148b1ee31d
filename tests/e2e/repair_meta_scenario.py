"""The pages that lead to all others are damaged: what a repair finds all the same, and says."""

import random
import shutil

from rotten import ENTRIES, PAGE, Rotten
from scenario import NOT_FOUND, OK, STORE, main


class RepairMeta(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        self.author = self.new_log(self.lines(ENTRIES), key=self.key)
        self.peer = self.relay("peer", "--accept-any")
        self.sync_one("store", self.peer.address, "--push", self.author)

    def test_where_a_meta_page_is_damaged_it_says_that_a_deletion_may_be_undone(self):
        self.out("delete", self.author, "--payloads", "--range", "5-9")
        self.lose_last_commit("store")
        said = self.text("repair", "--dry-run")
        self.assertIn("may be lost with it, and of any log a delete or forget undone\n", said)
        self.assertIn(": at least 1 page of it is damaged; ", said)

    def test_where_its_meta_page_and_the_end_of_the_file_are_lost_a_commit_is_whole(self):
        for end in None, -PAGE:
            with self.subTest(end=end):
                self.out("append", "--key", self.key[0], "--lines",
                         stdin="\n".join(self.lines(40)).encode())
                held = self.json("ls")["held"]
                data = self.place / "store/data.mdb"
                content = data.read_bytes()
                newest = self.newest_meta(content)
                data.write_bytes(content.replace(newest, random.Random(1).randbytes(PAGE), 1)[:end])
                self.assertIn("\nthe store would be sound, and nothing that is wanted lost",
                              self.text("repair", "--dry-run"))
                said = self.text("repair")
                self.assertIn("1 page of it is damaged\n", said)
                self.assertIn("\nthe store is sound, and nothing that is wanted is lost\n", said)
                self.assertEqual(self.json("ls")["held"], held)
                self.assert_sound("store")

    def lose_last_commit(self, store):
        """The page that leads to it, and the root."""
        data = self.place / store / "data.mdb"
        content = bytearray(data.read_bytes())
        newest = self.newest_meta(content)
        root = int.from_bytes(newest[128:136], "little") * PAGE
        content[root:root + PAGE] = bytes(PAGE)
        data.write_bytes(content.replace(newest, random.Random(1).randbytes(PAGE), 1))

    def test_where_the_last_commit_is_lost_it_does_not_end_as_if_nothing_were(self):
        other = self.new_log(self.lines(3), key=self.keygen("other.key"), store="others")
        self.sync_one("others", self.peer.address, "--push", other)
        self.sync_one("reader", self.peer.address, self.author)
        self.sync_one("reader", self.peer.address, other)
        self.lose_last_commit("reader")
        shutil.copytree(self.path("reader"), self.path("rotten"))
        self.assertIn("nothing tells how many entries it had, nor of which logs",
                      self.text("repair", "--dry-run", store="reader"))
        said = self.error(NOT_FOUND, "repair", store="reader")
        self.assertIn("`culm repair --from HOST:PORT`", said)
        said = self.error(NOT_FOUND, "repair", "--from", self.peer.address, store="rotten")
        self.assertIn("perhaps not all that was lost was replaced: peers were asked for the logs "
                      "that are here, and nothing tells how many entries the file had", said)
        self.out("repair", "--from", self.peer.address, store="rotten")
        self.assertIn("comes back with `culm sync HOST:PORT LOG`", said)
        self.out("sync", self.peer.address, other, store="rotten")
        self.assertEqual({log["head"] for log in self.json_lines("ls", store="rotten")},
                         {3, ENTRIES})

    def test_no_wrong_bit_of_the_number_of_a_commit_is_the_store_of_before(self):
        held = self.json("ls")["held"]
        self.out("append", "--key", self.key[0], stdin=b"another one")
        data = (self.place / "store/data.mdb").read_bytes()
        for page in 0, 1:
            for bit in 0, 1, 9, 33:
                with self.subTest(page=page, bit=bit):
                    shutil.rmtree(self.path("rotten"), ignore_errors=True)
                    shutil.copytree(self.path("store"), self.path("rotten"))
                    rotten = bytearray(data)
                    rotten[page * PAGE + 144 + bit // 8] ^= 1 << bit % 8
                    (self.place / "rotten/data.mdb").write_bytes(rotten)
                    for verb in ["ls"], ["verify"], ["append", "--key", self.key[0], "/dev/null"]:
                        self.assertEqual(self.on_copy(*verb).returncode, STORE, verb)
                    dry = self.on_copy("repair", "--dry-run")
                    self.assertIn("would write the file again", dry.stdout)
                    done = self.on_copy("repair")
                    self.assertEqual(done.returncode, OK, done.stderr)
                    self.assertIn("1 page of it is damaged\n", done.stdout)
                    self.assertEqual(self.json("ls", store="rotten")["held"], f"1-{ENTRIES + 1}")
        self.assertEqual(held, f"1-{ENTRIES}")


if __name__ == "__main__":
    main()
