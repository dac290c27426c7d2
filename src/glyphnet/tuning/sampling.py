"""The sampler: Optuna's TPE, with random numbers that depend on the seed and the trial's number alone.

A search that was interrupted then goes on as it would have gone, and processes that share a study never draw alike.
Import it only where Optuna is known to be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from ..seeding import derived_seed

STARTUP = 8
"""Trials drawn evenly from the whole space, before TPE has enough to go by."""


class SeededTPE(BaseSampler):
    """The tree-structured Parzen estimator (Bergstra et al., 2011; Watanabe, 2023), seeded anew for each trial."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sampler = TPESampler(seed=0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin the random numbers of this trial."""
        seed = derived_seed(self._seed, "search", trial.number) % 2**32  # NumPy's RandomState takes 32 bits
        self._sampler = TPESampler(seed=seed, n_startup_trials=STARTUP)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See `BaseSampler`."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `BaseSampler`."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """See `BaseSampler`."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """See `BaseSampler`."""
        self._sampler.after_trial(study, trial, state, values)
