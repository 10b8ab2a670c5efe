"""Two small complete runs, trained in this process: what the functions of the api are asked about."""

from pathlib import Path

import pytest

from cnnlab import Options, Recipe, Run, train


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def two_runs(root: Path) -> tuple[Run, Run]:
    """The same recipe at two rates."""

    def trained(lr: float) -> Run:
        recipe = Recipe.named(
            "demo",
            precision="fp32",
            optim={"lr": lr},
            train={"epochs": 2, "batch_size": 64},
            data={"train_limit": 320},
        )
        return train(recipe, Options(device="cpu", threads=1, compile="off", runs=root))

    return trained(0.01), trained(0.02)


@pytest.fixture
def run(two_runs: tuple[Run, Run]) -> Run:
    """The first of them."""
    return two_runs[0]
