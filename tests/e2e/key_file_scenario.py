"""E7 and E8: key files."""

import os
import re
import stat

from scenario import NETWORK, NOT_FOUND, USAGE, VERIFICATION, Scenario, main, reference


class KeyFile(Scenario):
    def test_a_new_key_is_private_and_fits_the_author_printed(self):
        os.umask(0o022)
        path, author = self.keygen()
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path) as file:
            text = file.read()
        found = re.fullmatch(r"culm-key 1\nauthor ([0-9a-f]{64})\nsecret ([0-9a-f]{64})\n", text)
        self.assertEqual(found[1], author)
        self.assertEqual(reference.ed25519.public_key(bytes.fromhex(found[2])).hex(), author)

    def test_a_new_key_can_be_read_whatever_the_umask(self):
        self.run_culm("keygen", "key", preexec_fn=lambda: os.umask(0o777))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("key")).st_mode), 0o600)

    def test_two_keys_differ(self):
        self.assertNotEqual(self.keygen("a")[1], self.keygen("b")[1])

    def test_a_file_that_exists_is_never_overwritten(self):
        for name in "a", "b":
            self.write(name, "mine")
        os.symlink(self.path("nowhere"), self.path("link"))
        for name in "a", "link", ".":
            self.error(USAGE, "keygen", name)
        self.assertEqual((self.place / "a").read_text(), "mine")
        self.assertFalse((self.place / "nowhere").exists())
        self.error(NOT_FOUND, "keygen", "no/such/place")
        self.error(USAGE, "keygen", "")

    def test_a_key_is_never_appended_to_a_log(self):
        key, _ = self.keygen()
        text = (self.place / "me.key").read_bytes()
        secret = text.splitlines(keepends=True)[-1]
        later, commented = text.replace(b"key 1", b"key 2"), text + b"of mine\n"
        self.out("append", "--key", key, stdin=b"first")
        for name, content in ("copy", text), ("later", later), ("more", commented), ("one", secret):
            path = self.write(name, content)
            for lines in [], ["--lines"]:
                said = self.error(USAGE, "append", "--key", key, *lines, self.write("fine", "x"),
                                  path)
                self.assertIn(f"{name}: it holds a secret key", said)
            self.assertIn("it holds a secret key",
                          self.error(USAGE, "append", "--key", key, stdin=content))
        self.error(USAGE, "append", "--key", key, "--lines", stdin=secret)
        for content in b"secret plans\n", b"culm-key 1\n", secret.replace(b"secret", b"hash"):
            self.out("append", "--key", key, stdin=content)
        self.assertEqual(self.json("ls")["head"], 4)

    def test_the_secret_is_in_no_output(self):
        path, author = self.keygen()
        with open(path) as file:
            secret = file.read().split()[-1]
        for arguments in (["append", "--key", path, "--lines"], ["ls"], ["ls", "--json"],
                          ["log", author], ["inspect", author, 1], ["export", author, "--jsonl"],
                          ["verify", "--json"]):
            done = self.run_culm(*arguments, stdin=b"x\n")
            self.assertNotIn(secret.encode(), done.stdout + done.stderr)
        for name in os.listdir(self.path("store")):
            with open(self.path("store/" + name), "rb") as file:
                content = file.read()
            self.assertNotIn(secret.encode(), content)
            self.assertNotIn(bytes.fromhex(secret), content)

    def refuse(self, path, why):
        message = self.error(VERIFICATION, "append", "--key", path, stdin=b"x")
        self.assertRegex(message, why)
        self.assertIn("\n  next: ", message)
        self.assertFalse((self.place / "store").exists())

    def test_what_is_no_key_file_is_refused(self):
        path, author = self.keygen()
        with open(path) as file:
            good = file.read()
        _, other = self.keygen("other")
        os.umask(0o077)
        for content in ("", os.urandom(155), good[:-1], good[:-2] + "\n", good[:-1] + "0\n",
                        good + "\n", good.replace("secret ", "secret"), good[:-2] + "g\n",
                        good.replace("culm-key", "ssh-key"), good * 1000):
            self.refuse(self.write("bad", content), "no key, or a damaged one")
        for content, why in ((good.replace(author, other), "does not fit"),
                             (good.replace("key 1", "key 2"), "another version")):
            self.refuse(self.write("bad", content), why)
        self.refuse("missing", "does not exist.*\n.*keygen")
        self.refuse(self.write("bad", good[:-1]), "\n.*restore it from a copy")

    def test_of_what_is_no_key_it_does_not_say_that_others_may_read_it(self):
        self.new_log("x")
        os.umask(0o022)
        self.write("notes.txt", "buy milk\n")
        for verb in (["append", "--key", "notes.txt"],
                     ["sync", "127.0.0.1:9", "--network-key", "notes.txt"],
                     ["sync", "127.0.0.1:9", "--peer-key", "notes.txt"]):
            message = self.error(VERIFICATION, *verb)
            self.assertNotIn("others", message.split("next:")[0])
            self.assertRegex(message, "notes.txt: .*no (peer )?key.* or a damaged one")

    def test_of_a_peer_key_that_is_damaged_it_says_which_key_it_is_and_what_to_do(self):
        self.new_log("x")
        os.umask(0o077)
        for content in ("", "garbage", "0" * 63):
            self.write("store/peer.key", content)
            for verb in (["sync"], ["repair", "--from"]):
                message = self.error(VERIFICATION, *verb, "127.0.0.1:9")
                self.assertIn("peer.key: this is no peer key, by which peers know this store, "
                              "or a damaged one", message)
                self.assertIn("move the file away", message)
            os.rename(self.path("store/peer.key"), self.path("away"))
            self.error(NETWORK, "sync", "127.0.0.1:9")
            self.assertTrue(os.path.exists(self.path("store/peer.key")))

    def test_who_lacks_a_network_key_is_told_to_copy_it_before_how_one_is_made(self):
        self.new_log("x")
        os.umask(0o077)
        for name in "missing.key", self.write("damaged.key", "0" * 63):
            step = self.json("sync", "127.0.0.1:9", "--network-key", name,
                             status=VERIFICATION)["next"]
            self.assertRegex(step, "^copy the file of those who opened the network.*only who opens "
                                   "a new network makes one, with `.*openssl rand -hex 32")

    def test_no_file_is_made_a_key(self):
        self.refuse("/dev/null", "not a regular file")

    def test_a_file_that_others_could_read_is_refused(self):
        path, _ = self.keygen()
        for mode in 0o644, 0o640, 0o604, 0o620:
            os.chmod(path, mode)
            self.refuse(path, "by others\n.*chmod 600")
        os.chmod(path, 0o400)
        self.out("append", "--key", path, stdin=b"x")

    def test_what_is_no_regular_file_is_refused_without_waiting(self):
        path, _ = self.keygen()
        os.symlink(path, self.path("link"))
        os.mkfifo(self.path("fifo"), 0o600)
        os.mkdir(self.path("directory"), 0o700)
        self.refuse("link", "symbolic link")
        self.refuse("fifo", "not a regular file")
        self.refuse("directory", "not a regular file")
        self.refuse("/dev/null", "not a regular file")

    def test_a_file_of_another_user_is_refused(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a file away")
        path, _ = self.keygen()
        os.chown(path, 12345, 12345)
        self.refuse(path, "another user")


if __name__ == "__main__":
    main()
