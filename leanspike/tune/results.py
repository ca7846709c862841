"""From a tune's storage to ``results.json``: every ended trial, those on the front with their test figures."""

from __future__ import annotations

import math
import warnings

import optuna
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from leanspike import __version__
from leanspike.core.records import to_dict
from leanspike.measure.records import SCHEMA, Study, parse
from leanspike.study.results import machine
from leanspike.tune.trial import TuneJob
from leanspike.tune.winners import choose, on_front, tested

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
FEWEST = 8  # finished trials below which importances would be noise


def collect(job: TuneJob, command: str, planned: int | None) -> Study:
    """The tune with every ended trial that the storage holds; ``planned`` is None where the time ended it."""
    trials = [trial for trial in job.store.trials(ENDED) if "record" in trial.user_attrs]
    chosen = choose(on_front(trials, job.config), job.config)
    study = {
        "dataset": job.data.name,
        "configuration": to_dict(job.config),
        "config_hash": job.config.hash,
        "command": command,
        "split": split_in_words(job),
        "machine": machine(),
        "planned": planned,
        "classes": list(job.data.classes),
        "aims": list(job.config.goals),
        "chosen": None if chosen is None else chosen.number,
        "importance": importance(job, trials),
    }
    records = [{**trial.user_attrs["record"], **tested(job, trial.number)} for trial in trials]
    created = job.store.study.user_attrs["created"]
    return parse({"schema": SCHEMA, "leanspike": __version__, "created": created, "study": study, "trials": records})


def split_in_words(job: TuneJob) -> str:
    """Which samples trained, chose and tested."""
    share = job.config.run.train.validation
    held = f"{share:.0%} of the training set, stratified and drawn by the seed, judged every trial's program and chose"
    return f"{held} the point; the test set was shown once to each program on the front, and chose nothing"


def importance(job: TuneJob, trials: list[FrozenTrial]) -> dict[str, dict[str, float]] | None:
    """Importance of every setting for every goal, shares of 1, by fANOVA over the finished trials (a forest, seed 0).

    F. Hutter, H. Hoos, K. Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014.
    None with too few trials; a goal that never varied has none.
    """
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if len(finished) < FEWEST:
        return None
    found: dict[str, dict[str, float]] = {}
    for place, goal in enumerate(job.config.goals):
        if len({trial.values[place] for trial in finished}) > 1:
            found[goal] = _fanova(job.store.study, place)
    return found or None


def _fanova(study: optuna.Study, place: int) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's own: experimental features, constant settings
        shares = optuna.importance.get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), target=lambda trial: trial.values[place]
        )
    return {key: float(share) for key, share in shares.items() if math.isfinite(share)}
