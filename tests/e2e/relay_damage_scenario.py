"""Relays on stores of which any page may be damaged."""

import json
import shutil
import time

from relay_harness import ENDS_WITHIN_SECONDS, Node
from rotten import PAGE, Rotten
from scenario import NETWORK, OK, STORE, main

LOGS = 20
UNTRUE = ("does not serve", "does not take", "nothing has moved")


def lose(content, page):
    content[page * PAGE:(page + 1) * PAGE] = b"\xff" * PAGE


def mark_as_another(content, page):
    content[page * PAGE] ^= 0x40


def put_the_page_before(content, page):
    """As a sound one of that number."""
    content[page * PAGE + 8:(page + 1) * PAGE] = content[(page - 1) * PAGE + 8:page * PAGE]


class RelayDamage(Rotten):
    def setUp(self):
        super().setUp()
        self.key = self.keygen()
        for n in range(LOGS):
            self.out("append", "--key", self.key[0], "--log-id", n, "--lines", stdin=b"a\nb\n",
                     store="author")
        shutil.copytree(self.path("author"), self.path("relay"))
        (self.place / "relay/peer.key").unlink(missing_ok=True)
        for n in range(LOGS):
            self.out("append", "--key", self.key[0], "--log-id", n, "--lines", stdin=b"c\n",
                     store="author")
        self.out("compact", store="relay")  # else most pages are free
        self.data = self.place / "relay/data.mdb"
        self.whole = self.data.read_bytes()

    def start_on(self, content):
        """The relay, or none where it says that its store is damaged."""
        self.data.write_bytes(content)
        relay = Node(self, "relay", ["relay", "--listen", "127.0.0.1:0", "--accept", self.key[1]])
        ready = relay.next_line(time.monotonic() + 30)
        if ready is None:
            self.assertEqual(relay.process.wait(timeout=ENDS_WITHIN_SECONDS), STORE, relay.said())
            failure = json.loads(relay.said().splitlines()[-1])
            self.assertEqual(failure["error"], "store_damaged")
            self.assertIn("repair", failure["next"])
            return None
        relay.address = ready["address"]
        return relay

    def said_by(self, store, relay, *arguments):
        """What a sync with it says, which is nothing untrue."""
        done = self.run_culm("sync", relay.address, *arguments, "--timeout", "60", store=store,
                             status=(OK, NETWORK))
        said = done.stderr.decode()
        for words in UNTRUE:
            self.assertNotIn(words, said)
        return said if done.returncode else ""

    def test_no_damaged_page_is_told_as_a_log_that_is_not_served_or_taken(self):
        met, ended, cases = 0, 0, 0
        logs = [f"{self.key[1]}.{n}" for n in (0, 7, LOGS - 1)]
        for page in range(2, len(self.whole) // PAGE):
            for damage in lose, mark_as_another, put_the_page_before:
                cases += 1
                with self.subTest(page=page, damage=damage.__name__):
                    content = bytearray(self.whole)
                    damage(content, page)
                    (self.place / "relay.stderr").unlink(missing_ok=True)
                    relay = self.start_on(content)
                    if relay is None:
                        ended += 1
                        continue
                    said = self.said_by("reader", relay, *logs)
                    said += self.said_by("author", relay, "--push", self.key[1])
                    shutil.rmtree(self.path("reader"), ignore_errors=True)
                    # What leads LMDB astray in a write ends the process, which says so.
                    relay.process.terminate()
                    status = relay.process.wait(timeout=ENDS_WITHIN_SECONDS)
                    self.assertIn(status, (OK, STORE), relay.said())
                    ended += status == STORE
                    if not said or status == STORE:
                        continue
                    met += 1
                    self.assertIn("store is damaged", said)
                    told = [line for line in relay.said().splitlines() if " error " in line]
                    self.assertGreater(len(told), 0, said)
                    self.assertIn("; next: ", told[0])
        self.assertGreaterEqual(met, cases / 3)
        self.assertLess(ended, cases / 3)


if __name__ == "__main__":
    main()
