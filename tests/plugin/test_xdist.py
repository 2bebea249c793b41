from __future__ import annotations

import pytest


def test_xdist_is_refused_before_anything_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_subprocess("--kaizen", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --kaizen does not work with pytest-xdist yet; run it without -n*"])
    assert not (pytester.path / ".kaizen").exists()


def test_xdist_without_processes_is_fine(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(kaizen): kaizen.score('n', 1)")
    result = pytester.runpytest_subprocess("--kaizen", "-n", "0")
    result.assert_outcomes(passed=1)
