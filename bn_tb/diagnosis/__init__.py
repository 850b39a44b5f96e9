"""Layers judged by the rules: findings, and one verdict per layer and run."""

from bn_tb.diagnosis.diagnosing import diagnose as diagnose
from bn_tb.diagnosis.diagnosing import subjects_of as subjects_of
from bn_tb.diagnosis.finding import VERDICTS as VERDICTS
from bn_tb.diagnosis.finding import Finding as Finding
from bn_tb.diagnosis.finding import LayerDiagnosis as LayerDiagnosis
from bn_tb.diagnosis.finding import RunDiagnosis as RunDiagnosis
from bn_tb.diagnosis.options import Options as Options
