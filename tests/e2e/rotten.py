"""Stores whose files rot."""

from relay_harness import NetworkScenario

ENTRIES = 800
PAGE = 4096


class Rotten(NetworkScenario):
    def rot(self, store, mark, ahead=0):
        """Flips a bit `ahead` bytes in front of each place that begins with `mark`."""
        with open(self.path(f"{store}/data.mdb"), "r+b") as file:
            content = bytearray(file.read())
            place = content.find(mark)
            self.assertGreater(place, 0)
            while place != -1:
                content[place - ahead] ^= 1
                place = content.find(mark, place + 1)
            file.seek(0)
            file.write(content)

    def rot_row(self, store, n):
        """The row of an entry of the first log, if it is there."""
        row = (1).to_bytes(8, "big") + n.to_bytes(8, "big") + b"\x03"
        if row in (self.place / store / "data.mdb").read_bytes():
            self.rot(store, row, ahead=-60)

    def rot_payload(self, store, n):
        self.rot(store, b"line %d of" % n)

    def rot_entry(self, store, n):
        """In the signature, which is the last of an entry."""
        self.rot(store, b"line %d of" % n, ahead=5)
