"""The parts of a study's report: from its runs and verdicts to sections. `report/study_report.py` puts them together."""
