"""The benchmark of augmentation runs, on a few images."""

from importlib.util import find_spec

from bench.augment_speed import CASES, main


def test_every_case_has_a_line_for_each_number_format(capsys):
    main(["--threads", "1", "--images", "130", "--rounds", "1"])
    written = capsys.readouterr().out.splitlines()
    first = next(index for index, line in enumerate(written) if line.endswith("images/s"))
    lines = written[first + 2 :]
    others = ["variant 4 with Pillow"] + (["variant 4 with kornia"] if find_spec("kornia") else [])
    assert len(lines) == 2 * len(CASES) + len(others)
    assert [line.rsplit("fp32")[0].strip() for line in lines[2 * len(CASES) :]] == others
    assert all(float(line.split()[-2]) > 0 for line in lines)
