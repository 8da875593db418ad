"""A data loader as training scripts have them: shuffled, decoded by worker processes, an epoch after the other.

    loader.py ROOT WORKERS EPOCHS        prints "ready", and for each line on stdin plays an epoch: seconds, images, sum
    loader.py --make ROOT KIND COUNT     makes COUNT images (KIND: jpeg, npy), some 110 KB each

ROOT holds folders of .jpg (Pillow decodes them) or .npy files.
"""
import io
import multiprocessing
import os
import random
import sys
import time

import numpy
from PIL import Image

BATCH = 16


def decode(path):
    if path.endswith(".npy"):
        return numpy.load(path)
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB"))


def work(root, names, following, total, start, end):
    """Takes batches of names until none is left, again for every epoch."""
    while True:
        start.wait()
        found = 0
        while True:
            with following.get_lock():
                first = following.value
                following.value += BATCH
            # The order is the epoch's, the same in every process: it is shuffled by the epoch's number.
            if first >= len(names):
                break
            for number in names.order[first:first + BATCH]:
                pixels = decode(os.path.join(root, names[number]))
                found += int(pixels.ravel()[::97].astype(numpy.int64).sum())
        with total.get_lock():
            total.value += found
        end.wait()
        names.shuffle()


class Names(list):
    def __init__(self, root):
        super().__init__(sorted(os.path.relpath(os.path.join(folder, name), root)
                                for folder, _, files in os.walk(root) for name in files))
        self.chance = random.Random(1)
        self.shuffle()

    def shuffle(self):
        self.order = list(range(len(self)))
        self.chance.shuffle(self.order)


def load(root, workers, epochs):
    names = Names(root)
    following, total = multiprocessing.Value("q", 0), multiprocessing.Value("q", 0)
    start, end = multiprocessing.Barrier(workers + 1), multiprocessing.Barrier(workers + 1)
    processes = [multiprocessing.Process(target=work, args=(root, names, following, total, start, end), daemon=True)
                 for _ in range(workers)]
    for process in processes:
        process.start()
    print("ready", flush=True)
    for _ in range(epochs):
        if not sys.stdin.readline():
            break
        following.value = total.value = 0
        began = time.perf_counter()
        start.wait()
        end.wait()
        print(time.perf_counter() - began, len(names), total.value, flush=True)
    for process in processes:
        process.terminate()


def make(root, kind, count):
    """Noise over a slope, so that an image of 256 by 256 takes some 110 KB, as ImageNet's do."""
    chance = numpy.random.default_rng(count)
    slope = numpy.linspace(0, 160, 256)[:, None, None]
    for number in range(count):
        folder = os.path.join(root, f"{number // 200:03}")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{number:06}.{'jpg' if kind == 'jpeg' else 'npy'}")
        if kind == "npy":
            # Labels and masks compress, pictures do not: half of each.
            picture = chance.integers(0, 256, (110, 256, 2), dtype=numpy.uint8)
            picture[:, :, 1] = number % 10
            numpy.save(path, picture)
            continue
        noise = chance.normal(48, 40, (256, 256, 3))
        picture = numpy.clip(slope + noise, 0, 255).astype(numpy.uint8)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=95)
        with open(path, "wb") as file:
            file.write(buffer.getvalue())


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        load(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
