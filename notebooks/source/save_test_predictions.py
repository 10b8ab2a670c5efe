# Source of save_test_predictions.ipynb; `python -m notebooks.build` makes the notebook of it.

# %% [markdown]
# # predictions.csv
#
# Predict images whose labels nobody has told us, with the network that `resnet-cifar10.ipynb` has saved, and
# write the file that is handed in: a header `id,label`, then a line for each image.

# %%
import os
from collections import Counter
from pathlib import Path

import numpy as np

from cnnlab.compare.grade import grade
from cnnlab.data import load
from cnnlab.deploy.load import load_predictor
from cnnlab.deploy.predictions_csv import read_predictions_csv, write_predictions_csv

budget = os.environ.get("CNNLAB_BUDGET", "full")
source = "shapes" if budget == "tiny" else "cifar10"
if budget != "full":
    print(f"budget {budget!r}: the network has hardly been trained. This shows that everything works.")

MODEL = "resnet20.safetensors"
predictor = load_predictor(MODEL)
print(f"{MODEL}: {predictor.image_shape} to {len(predictor.classes)} classes")

# %% [markdown]
# ## The images
#
# Here they are the published test images; their labels are not looked at. For the images that your course
# hands out:
#
# ```python
# from cnnlab.data.unlabelled import read_unlabelled
# from cnnlab.deploy.predictions_csv import ids_of
#
# found = read_unlabelled([Path("test_images")], (32, 32, 3))   # a folder, a .zip or .tar of images, .npz or .npy
# images, (_, ids) = found.images, ids_of(found.names)          # 17.png has the id 17
# ```
#
# or, without any Python, `cnnlab predict resnet20.safetensors test_images --csv predictions.csv`.

# %%
images = load(source, download=True).test.images
ids = [str(index) for index in range(len(images))]
print(f"{len(images):,} images of {images.shape[1:]}")

# %% [markdown]
# ## Predict and write

# %%
logits = predictor.logits(images)
write_predictions_csv(Path("predictions.csv"), logits, ids)
print(*Path("predictions.csv").read_text().splitlines()[:6], "...", sep="\n")

# %% [markdown]
# ## Check before handing in
#
# Every id once, every label a class: `cnnlab predict --check predictions.csv --images 10000` says the same. A
# network that has learnt something also uses all classes; one line with nearly all images would be a
# collapse.

# %%
labels = read_predictions_csv(Path("predictions.csv"), num_images=len(images), num_classes=10)
for label, count in sorted(Counter(labels.values()).items()):
    print(f"{label} {predictor.classes[label]:12}  {count:6,}")

# %% [markdown]
# ## The grade
#
# Of the published test images the labels are known, so that here, at the very end, the file can be graded as
# the course will grade it: `cnnlab grade predictions.csv --labels cifar10`. The interval is Wilson's: what
# other test images of the same kind could have given. Nothing may be chosen by this number; that is what the
# validation images are for.

# %%
test = load(source).test
graded = grade(np.array([labels[one] for one in ids]), test.labels, predictor.classes)
interval = graded.overall.interval
print(f"accuracy {graded.overall.accuracy:.2%} (95% interval {interval.low:.2%} to {interval.high:.2%})")
for each in graded.classes:
    print(f"{each.name:12}  {each.accuracy:6.1%} of {each.images:,}")
