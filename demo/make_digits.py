"""Writes scikit-learn's handwritten digits as a folder of PNG files, one folder per class, and a table of the labels.

    python make_digits.py data/digits
"""
import csv
import struct
import sys
import zlib
from pathlib import Path

from sklearn.datasets import load_digits


def png(pixels):
    """A greyscale PNG of a square of bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9))
            + chunk(b"IEND", b""))


def main():
    root = Path(sys.argv[1])
    digits = load_digits()
    root.mkdir(parents=True)
    with open(root / "labels.csv", "w", newline="") as table:
        labels = csv.writer(table, lineterminator="\n")
        labels.writerow(["id", "label"])
        for number, (image, label) in enumerate(zip(digits.images, digits.target)):
            folder = root / str(label)
            folder.mkdir(exist_ok=True)
            (folder / f"{number:04}.png").write_bytes(png((image * 255 / 16).astype("uint8")))
            labels.writerow([f"{number:04}", label])
    print(f"{len(digits.images)} images in {root}")


if __name__ == "__main__":
    main()
