"""From the runs of a study to the facts that its report is made of."""

from collections.abc import Sequence
from itertools import pairwise

from cnnlab.report.study.facts import Absent, ArmFacts, Published, StudyFacts
from cnnlab.study.record import StudyRuns


def facts_of(runs: StudyRuns, commands: Sequence[str] = ()) -> StudyFacts:
    """The study with its finished runs and verdicts; `commands` are added to those that made the runs.

    Raises RunError where runs lack the metric of a claim, or saw different data.
    """
    study, finished = runs.study, runs.finished
    steps = [pair for chain in study.chain for pair in pairwise(chain.steps)]
    before = {after.name: step.name for step, after in steps}
    return StudyFacts(
        name=study.name,
        question=study.question,
        base=study.base_recipe,
        arms=tuple(ArmFacts(arm.name, arm.recipe, finished[arm.name], before.get(arm.name)) for arm in study.arms()),
        absent=tuple(
            Absent(
                each.cell.arm,
                each.cell.seed,
                "not begun" if each.state == "missing" else each.state,
                each.cause,
                each.run.id if each.run else "",
            )
            for each in (*runs.failures, *runs.missing)
        ),
        verdicts=runs.verdicts(),
        published=tuple(Published(**each.model_dump()) for each in study.published),
        commands=tuple(commands),
    )
