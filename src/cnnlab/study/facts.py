"""From how a study stands to what its report is made of."""

from collections.abc import Sequence

from cnnlab.report.study.facts import Absent, ArmFacts, Published, StudyFacts
from cnnlab.study.definition import Study
from cnnlab.study.record import CellState, StudyRuns

_IN_WORDS: dict[CellState, str] = {
    "missing": "not begun",
    "running": "running",
    "stopped": "stopped",
    "failed": "failed",
}


def facts_of(runs: StudyRuns, commands: Sequence[str] = ()) -> StudyFacts:
    """The study with its finished runs and verdicts; `commands` are to be named beside those that made the runs.

    Raises RunError where runs lack what a claim is about, or saw different data.
    """
    study, finished, before = runs.study, runs.finished, _steps_before(runs.study)
    return StudyFacts(
        name=study.name,
        question=study.question,
        base=study.base_recipe,
        arms=tuple(
            ArmFacts(arm.name, arm.recipe, finished[arm.name], before.get(arm.name)) for arm in study.arms()
        ),
        absent=tuple(
            Absent(
                each.cell.arm,
                each.cell.seed,
                _IN_WORDS[each.state],
                each.cause,
                each.run.id if each.run else "",
            )
            for each in (*runs.failures, *runs.missing)
        ),
        verdicts=runs.verdicts(),
        published=tuple(
            Published(each.arm, each.metric, each.value, each.source) for each in study.published
        ),
        commands=tuple(commands),
    )


def _steps_before(study: Study) -> dict[str, str]:
    """Each step of a chain, but the first, with the one before it."""
    return {
        after.name: before.name
        for chain in study.chain
        for before, after in zip(chain.steps, chain.steps[1:], strict=False)
    }
