"""Two arms compared class by class and image by image, from the test outputs stored in every run.

The two are the reference and the best other arm by mean val accuracy; test chooses nothing.

Shape legend: S seeds, N test images, K classes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnlab.compare.examples import compare_correct, correct_matrix
from cnnlab.compare.noise import decompose
from cnnlab.core.numbers import count
from cnnlab.report.document import Block, Paragraph, Picture, Section, Table
from cnnlab.report.figures.confusion import confusion_difference
from cnnlab.report.figures.style import save_vector
from cnnlab.report.study.facts import ArmFacts, StudyFacts
from cnnlab.report.study.numbers import accuracies, values
from cnnlab.report.study.wording import code, effect, effect_interval, plain, seeds
from cnnlab.runs import RunFolder

_MOST_PAIRS = 6


def contrast_section(facts: StudyFacts, figures: Path) -> Section | None:
    """Recall by class, changes of the confusion matrix, images that only one arm classifies correctly.

    None without two arms with the same test images. Raises RunError, StorageError.
    """
    arm, reference = best_other(facts), facts.reference
    if arm is None or not reference.runs or "test" not in accuracies(facts):
        return None
    classes = facts.runs[0].environment.data.classes
    left_KK, right_KK = (
        np.mean([row_shares(run, len(classes)) for run in each.runs.values()], axis=0) for each in (arm, reference)
    )
    title = f"{arm.name} minus {reference.name}, test"
    figure = confusion_difference(left_KK - right_KK, classes, title)
    picture = Picture(
        save_vector(figure, figures / "confusion-difference.svg"),
        f"Change of the shares of each true class from {code(reference.name)} to {code(arm.name)}, in points "
        "(mean over seeds). On the diagonal more is better, elsewhere less.",
        "Difference of two confusion matrices",
        0.85,
    )
    blocks: list[Block] = [
        Paragraph(
            f"{code(arm.name)} against {code(reference.name)}: it has the best mean val accuracy of the other arms."
        ),
        _classes_table(classes, left_KK, right_KK, arm, reference),
        picture,
        Paragraph(_moves(classes, left_KK - right_KK)),
        Paragraph(_noise(arm, reference)),
    ]
    return Section("Which classes differ", tuple(blocks))


def best_other(facts: StudyFacts) -> ArmFacts | None:
    """The best other arm than the reference by mean val accuracy; the first with runs if there is no val."""
    others = [arm for arm in facts.arms if arm.runs and arm != facts.reference]
    if "best_val" not in accuracies(facts):
        return next(iter(others), None)
    found = values(facts.arms, "best_val")
    means = {arm.name: float(np.mean([*found[arm.name].values()])) for arm in others}
    return max(others, key=lambda arm: means[arm.name], default=None)


def row_shares(run: RunFolder, num_classes: int) -> NDArray[np.float64]:
    """The confusion matrix of the stored test outputs, (K, K), as shares of each row (a true class)."""
    stored = run.predicted("test")
    cells_N = stored.labels * num_classes + stored.classes
    counts_KK = np.bincount(cells_N, minlength=num_classes**2).reshape(num_classes, num_classes)
    shares: NDArray[np.float64] = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)
    return shares


def _classes_table(
    classes: Sequence[str],
    left_KK: NDArray[np.float64],
    right_KK: NDArray[np.float64],
    arm: ArmFacts,
    reference: ArmFacts,
) -> Table:
    rows = tuple(
        (plain(name), f"{before:.1%}", f"{after:.1%}", effect("test", after - before))
        for name, before, after in zip(classes, np.diag(right_KK), np.diag(left_KK), strict=True)
    )
    caption = "Recall of each class on test, mean over seeds; the difference in points."
    return Table(("class", code(reference.name), code(arm.name), "difference"), rows, caption)


def _moves(classes: Sequence[str], difference_KK: NDArray[np.float64]) -> str:
    """A sentence on the confusions that change most."""
    off_KK = difference_KK - np.diag(np.diag(difference_KK))
    order = np.argsort(-np.abs(off_KK), axis=None, kind="stable")[:_MOST_PAIRS]
    parts = []
    for place in order:
        i, j = divmod(int(place), len(classes))
        if off_KK[i, j]:
            parts.append(f"{plain(classes[i])} classified as {plain(classes[j])} {effect('test', off_KK[i, j])}")
    return f"The confusions that change most, in points: {'; '.join(parts) or 'none'}."


def _noise(arm: ArmFacts, reference: ArmFacts) -> str:
    """The variation of the difference by seed and by choice of test images."""
    shared = sorted(arm.runs.keys() & reference.runs.keys())
    if not shared:
        return "The two arms have no seed in common, so their images are not compared one by one."
    left_SN = correct_matrix([arm.runs[seed] for seed in shared])
    right_SN = correct_matrix([reference.runs[seed] for seed in shared])
    if len(shared) == 1:
        pair = compare_correct(left_SN[0], right_SN[0])
        return (
            f"Image by image ({seeds(shared)}): of {pair.n:,} test images, {pair.left_only:,} are right only with the "
            f"network of {code(arm.name)}, {pair.right_only:,} only with that of {code(reference.name)}. "
            f"For these two networks the difference is {effect('test', pair.difference)} points, on other test images "
            f"{effect_interval('test', pair.interval)} (95%, Tango). One seed shows nothing about the recipes."
        )
    noise = decompose(left_SN.astype(np.float64) - right_SN.astype(np.float64))
    assert noise.seed_error is not None
    text = (
        f"Over {count(noise.seeds, 'seed')} and {noise.examples:,} test images {code(arm.name)} has "
        f"{100 * abs(noise.mean):.2f} points {'more' if noise.mean >= 0 else 'fewer'} right than "
        f"{code(reference.name)}. The standard error of that from the seeds is {100 * noise.seed_error:.2f} points, "
        f"from the choice of test images {100 * noise.example_error:.2f}."
    )
    if noise.interval is not None:
        text += (
            f" For new seeds *and* new images the 95% interval is {effect_interval('test', noise.interval)} "
            "(the tables above are only about this test set)."
        )
    return text
