"""The benchmark of augmentation runs, on a few images."""

from bench.augment_speed import CASES, main


def test_every_case_has_a_line_for_each_number_format(capsys):
    main(["--threads", "1", "--images", "130", "--rounds", "1"])
    head, _, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[-1] == "images/s"
    assert len(lines) == 2 * len(CASES)
    assert all(float(line.split()[-2]) > 0 for line in lines)
