"""Every data test has its own cache and no outer data folder."""

import pytest


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("CNNLAB_DATA", raising=False)
