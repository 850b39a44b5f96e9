"""Event files of other people's projects get the verdicts and codes that are true of them."""

import json

import pytest

from bn_tb.diagnosis import diagnose
from bn_tb.sources.logdir import read_logdir
from tests.places import SHARED

CORPUS = SHARED / "corpus"
EXPECTED = CORPUS / "expected.json"
TRUTHS = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}


@pytest.mark.skipif(not TRUTHS, reason="no ../shared/corpus beside this folder")
@pytest.mark.parametrize("folder", sorted(TRUTHS))
def test_a_folder_of_the_corpus_is_judged_as_its_project_shows(folder):
    truth = TRUTHS[folder]
    diagnoses = diagnose(read_logdir(str(CORPUS / folder)))
    codes = {finding.code for run in diagnoses for finding in run.findings}
    assert {run.verdict for run in diagnoses} <= set(truth["verdicts"])
    assert set(truth["must"]) <= codes
    assert not codes & set(truth["must_not"])
