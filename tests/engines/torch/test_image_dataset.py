"""The tutorials' face of a split: what the engine sees, image by image, in worker processes too."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from cnnlab import ImageDataset, ToTensor
from cnnlab.augment import draw_epoch
from cnnlab.core.errors import DataError
from cnnlab.data import Split, channel_statistics, load, split_indices
from cnnlab.data.dataset import MappedFile, by_name
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit
from cnnlab.recipe.augmentation import Augment, Crop, Cutout, Flip, Rotate
from reference import augmented, normalised

AUGMENT = Augment(crop=Crop(), flip=Flip())
ALL = Augment(crop=Crop(), flip=Flip(), rotate=Rotate(interpolation="bilinear"), cutout=Cutout())


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def shapes(cache):
    """Out of the cache: memory-mapped."""
    load("shapes")
    return load("shapes")


@pytest.mark.parametrize("augment", [AUGMENT, ALL], ids=["usual", "all"])
@pytest.mark.parametrize("epoch", [0, 3])
def test_images_are_those_of_the_engine(shapes, epoch, augment):
    train, _ = split_indices(shapes.train.labels, 4900, seed=0)
    mean, std = channel_statistics(shapes.train.images)
    dataset = ImageDataset(shapes.train, ToTensor(mean, std), indices=train, augment=augment, seed=7)
    dataset.set_epoch(epoch)
    images, labels = (torch.stack(column) for column in zip(*map(as_tensors, dataset), strict=True))

    resident = ResidentSplit(Split(shapes.train.images[train], shapes.train.labels[train]), torch.device("cpu"))
    resident.arrange(np.arange(100), draw_epoch(augment, 7, epoch, 100, 32, 32, 3))
    normalise = Normaliser(Normalisation(mean, std), 32, 32, torch.float32, torch.device("cpu"))
    expected, targets = resident.gather(0, 100, normalise)
    torch.testing.assert_close(images, expected.contiguous(), atol=2e-6, rtol=0)
    assert labels.tolist() == targets.labels.tolist()


@pytest.mark.parametrize("epoch", [0, 3])
def test_images_are_those_that_the_reference_draws(shapes, epoch):
    train, _ = split_indices(shapes.train.labels, 4900, seed=0)
    mean, std = channel_statistics(shapes.train.images)
    dataset = ImageDataset(shapes.train, ToTensor(mean, std), indices=train, augment=AUGMENT, seed=7)
    dataset.set_epoch(epoch)
    images, labels = (torch.stack(column) for column in zip(*map(as_tensors, dataset), strict=True))

    expected = augmented(shapes.train.images[train], AUGMENT.model_dump(), seed=7, epoch=epoch)
    np.testing.assert_allclose(images.numpy(), normalised(expected, mean, std).numpy(), atol=2e-6, rtol=0)
    assert labels.tolist() == shapes.train.labels[train].tolist()


def as_tensors(item):
    return item[0], torch.tensor(item[1])


def test_another_epoch_has_other_draws(shapes):
    dataset = ImageDataset(shapes.train, augment=AUGMENT)
    before = [dataset[index][0] for index in range(20)]
    dataset.set_epoch(1)
    assert sum(torch.equal(old, dataset[index][0]) for index, old in enumerate(before)) < 5
    dataset.set_epoch(0)
    assert all(torch.equal(old, dataset[index][0]) for index, old in enumerate(before))


def test_a_transform_of_ones_own_gets_bytes(shapes):
    dataset = ImageDataset(shapes.train, lambda pixels_HWC: (pixels_HWC.dtype, pixels_HWC.shape))
    assert dataset[5] == ((np.uint8, (32, 32, 3)), shapes.train.labels[5])


def test_without_labels_there_are_images_alone(shapes):
    dataset = ImageDataset(Split(shapes.test.images, None))
    (batch,) = DataLoader(dataset, batch_size=len(dataset))
    assert batch.shape == (1000, 3, 32, 32)
    np.testing.assert_array_equal(batch[3].permute(1, 2, 0).mul(255).round().numpy(), shapes.test.images[3])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # fork, Python 3.12
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_worker_processes_serve_the_same_batches(shapes, start_method):
    dataset = ImageDataset(shapes.train, indices=np.arange(100, 300), augment=AUGMENT)
    loader = DataLoader(
        dataset, batch_size=64, num_workers=1, persistent_workers=True, multiprocessing_context=start_method
    )
    for epoch in (0, 1):  # the second one tells that a living worker hears of the new epoch
        dataset.set_epoch(epoch)
        from_workers = [batch[0].clone() for batch in loader]
        here = [batch[0] for batch in DataLoader(dataset, batch_size=64)]
        assert [len(batch) for batch in here] == [64, 64, 64, 8]
        assert all(map(torch.equal, from_workers, here))


def test_a_pickled_split_names_its_files(shapes):
    sent = pickle.dumps(ImageDataset(shapes.train, indices=np.arange(10)))
    assert shapes.train.images.nbytes > 15_000_000
    assert len(sent) < 5_000
    received = pickle.loads(sent)
    assert isinstance(received.split.images, np.memmap)
    np.testing.assert_array_equal(received.split.images[:50], shapes.train.images[:50])
    np.testing.assert_array_equal(received.split.labels, shapes.train.labels)


@pytest.mark.parametrize("change", [lambda images: images[10:], lambda images: images[:, ::2], np.array])
def test_only_a_whole_map_goes_by_name(shapes, change):
    images = change(shapes.train.images)
    assert isinstance(by_name(shapes.train.images), MappedFile)
    assert not isinstance(by_name(images), MappedFile)
    received = pickle.loads(pickle.dumps(Split(images, None)))
    np.testing.assert_array_equal(received.images, images)


@pytest.mark.parametrize(
    ("transform", "received"),
    [(np.asarray, "ndarray"), (torch.tensor, r"\(32, 32, 3\)")],
)
def test_cutout_needs_a_tensor(shapes, transform, received):
    dataset = ImageDataset(shapes.train, transform, augment=Augment(cutout=Cutout()))
    with pytest.raises(DataError, match=f"received {received} from it, expected a tensor C x 32 x 32"):
        dataset[0]


def test_indices_outside_the_split_are_refused(shapes):
    with pytest.raises(DataError, match=r"-1\.\.5000, expected places of the split, 0\.\.4999"):
        ImageDataset(shapes.train, indices=np.array([-1, 5000]))
