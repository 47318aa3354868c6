"""The whole system on row-sparse tables: `word_vectors` alone and, by `kvctl run`, on real daemons.

    word_vectors_cluster_test.py KVCTL WORD_VECTORS

The text is made of topics: a line's words are all of one topic. So words of one topic, and no
others, occur together, and what a perfect model would lose is known (see `loss_of_a_perfect_model`).
"""

import math
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest

KVCTL, WORD_VECTORS = (sys.argv.pop(1) for _ in range(2))
DEADLINE_S = 120
PACKAGE_TEXT = "/usr/lib/bible.data"
TOPICS = 8
WORDS = 12  # of a topic
NOISE = 5
EPOCHS = 6


def run(*command):
    """stdout; both outputs of a failing command are in the exception."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command} returned {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def on_cluster(*command, workers=2, servers=2):
    return run(KVCTL, "run", "-n", str(workers), "-s", str(servers), "--", *command)


def topic_words(topic):
    """No digits: the program takes what has one for a number of a verse."""
    return ["topic" + "abcdefgh"[topic] + "abcdefghijkl"[word] for word in range(WORDS)]


def write_topics(path, lines=1500):
    chance = random.Random(1)
    with open(path, "w", encoding="ascii") as file:
        for _ in range(lines):
            words = topic_words(chance.randrange(TOPICS))
            file.write(" ".join(chance.choice(words) for _ in range(10)) + "\n")


def loss_of_a_perfect_model():
    """Per pair. A real neighbour is one of the topic's WORDS, noise is one of all TOPICS * WORDS: so a
    pair of one topic is real with probability TOPICS / (TOPICS + NOISE) (Levy and Goldberg, 2014),
    and any other pair is noise for certain."""
    real = TOPICS / (TOPICS + NOISE)
    return -math.log(real) - NOISE * (1 / TOPICS) * math.log(1 - real)


def hashes(output):
    return re.findall(r"tables sha256 ([0-9a-f]{64})", output)


def losses(output):
    return [float(loss) for loss in re.findall(
        r"epoch +\d+  loss ([\d.]+)  \d+ rows/s  [\d.]+ MB/s  a batch has at most \d+ of \d+ rows",
        output)]


def neighbours(output, word):
    line = re.search(rf"{word}  +(.*)", output)
    return re.findall(r"(\w+) -?[\d.]+", line.group(1)) if line else []


class WordVectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.text = os.path.join(cls.folder.name, "topics.txt")
        write_topics(cls.text)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def program(self, *, epochs=EPOCHS, batch=16, dim=16):
        shown = [topic_words(topic)[0] for topic in range(TOPICS)]
        return [WORD_VECTORS, "--text", self.text, "--epochs", str(epochs), "--batch", str(batch),
                "--dim", str(dim), "--window", "5", "--noise", str(NOISE), "--subsample", "0",
                "--min-count", "1", "--words", ",".join(shown)]

    def check_that_the_topics_are_learned(self, output):
        seen = losses(output)
        self.assertEqual(len(seen), EPOCHS, output)
        # Before anything is learned each of the 1 + NOISE terms of a pair is log 2. Of what there is
        # to learn, nine tenths are: that leaves room for the noise of finitely many draws.
        start = (1 + NOISE) * math.log(2)
        perfect = loss_of_a_perfect_model()
        self.assertLess(seen[-1], perfect + (start - perfect) / 10, output)
        # Nor can it be better, but for luck with the draws: a word's noise costs 0.6 per pair with a
        # standard deviation of 0.7, so the mean over the 7,500 words of a worker and epoch has one
        # of 0.008; this is six of them.
        self.assertGreater(seen[-1], perfect - 0.05, output)
        for topic in range(TOPICS):
            words = topic_words(topic)
            self.assertEqual(len(neighbours(output, words[0])), 6, output)
            self.assertLess(set(neighbours(output, words[0])), set(words), output)

    def test_local_learns_the_topics(self):
        output = run(*self.program(), "--store", "local")
        self.check_that_the_topics_are_learned(output)
        self.assertEqual(hashes(run(*self.program(), "--store", "local")), hashes(output))

    def test_dist_sync_has_the_bits_of_local(self):
        output = on_cluster(*self.program(), "--store", "dist_sync")
        self.check_that_the_topics_are_learned(output)
        local = run(*self.program(), "--store", "local", "--simulate-workers", "2")
        self.assertEqual(hashes(output), hashes(local) * 2)

    def test_dist_sync_has_the_bits_of_local_when_the_tables_have_stripes(self):
        # 4,000 floats a row: the tables are larger than 1 MiB, so they are cut into stripes.
        program = self.program(epochs=1, batch=128, dim=4000)
        local = hashes(run(*program, "--store", "local", "--simulate-workers", "3"))
        self.assertEqual(len(local), 1)
        for servers in (1, 3):
            with self.subTest(servers=servers):
                output = on_cluster(*program, "--store", "dist_sync", workers=3, servers=servers)
                self.assertEqual(hashes(output), local * 3)

    def test_dist_async_learns_the_topics(self):
        output = on_cluster(*self.program(), "--store", "dist_async")
        self.check_that_the_topics_are_learned(output)
        # Everybody's pushes are in what everybody reads at the end.
        self.assertEqual(len(hashes(output)), 2, output)
        self.assertEqual(len(set(hashes(output))), 1, output)

    def test_a_word_that_is_not_in_the_text_is_named(self):
        done = subprocess.run([WORD_VECTORS, "--text", self.text, "--words", "unheard"],
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "word_vectors: 'unheard' is no word of the vocabulary\n")

    @unittest.skipUnless(os.path.exists(PACKAGE_TEXT), "bible-kjv-text is not installed")
    def test_the_packages_text_is_what_gzip_makes_of_it(self):
        with open(PACKAGE_TEXT, "rb") as file:
            package = file.read()
        # gzip reads what compress(1) writes.
        plain = subprocess.run(["gzip", "-dc"], input=package[package.index(b"\x1f\x9d\x90"):],
                               capture_output=True, timeout=DEADLINE_S, check=True).stdout
        self.assertTrue(plain.endswith(b"The grace of our Lord Jesus Christ be with you all. Amen.\n"))
        path = os.path.join(self.folder.name, "plain.txt")
        with open(path, "wb") as file:
            file.write(plain)
        small = [WORD_VECTORS, "--epochs", "1", "--dim", "4", "--batch", "2048", "--store", "local"]
        by_default = run(*small)
        self.assertRegex(by_default, r"31103 lines, 785647 words in a vocabulary of 8722, ")
        self.assertEqual(hashes(run(*small, "--text", path)), hashes(by_default))


if __name__ == "__main__":
    unittest.main()
