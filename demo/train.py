"""Trains a classifier of handwritten digits on ./data/digits; the folder that an image lies in is its label."""
import argparse
import json
from pathlib import Path

import joblib
import numpy
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
seed = parser.parse_args().seed

files = sorted(Path("data/digits").glob("*/*.png"))
images = numpy.stack([numpy.asarray(Image.open(file)).ravel() / 255 for file in files])
labels = numpy.array([int(file.parent.name) for file in files])
print(f"{len(files)} images, seed {seed}")

train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=0.25, random_state=seed)
model = LogisticRegression(max_iter=1000, random_state=seed).fit(train_x, train_y)
accuracy = model.score(test_x, test_y)

joblib.dump(model, "model.joblib")
Path("metrics.json").write_text(json.dumps({"accuracy": accuracy, "images": len(files), "seed": seed}) + "\n")
print(f"accuracy {accuracy:.4f}")
