"""The sections of a study's report, from its runs and verdicts. `report/study_report.py` combines them."""
