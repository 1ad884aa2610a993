"""How the synthetic drugs change gene expression and cell viability.

The state of a well is a vector of gene programs. A drug moves it in the direction of its targets, and in a direction of
its own. Toxic drugs also kill cells, all cell lines together, and evoke a stress response of the genes. Many labels
cannot be predicted, as in the competition: half of the drugs hardly act, some labelled drugs act otherwise than their
targets say, and some unlabelled drugs act like labelled ones. None of it is real biology.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moa.data.schema import CELLS, GENES
from moa.data.synthetic_drugs import Drugs

N_GENES, N_CELLS = len(GENES), len(CELLS)
# Features are clipped to this absolute value.
LIMIT = 10.0
# Relative exposure of a well by its time, as in CP_TIMES, and by its dose, as in CP_DOSES.
EXPOSURE_BY_TIME = (0.7, 1.0, 1.1)
EXPOSURE_BY_DOSE = (1.15, 0.85)
# Toxicity of the large drugs; the largest one kills cells.
TOXICITY_OF_LARGE = (2.0, 0, 0, 1.6, 0, 0, 1.5, 0)
# Exponent of the dose response of killing.
STEEPNESS = 5


@dataclass(frozen=True)
class Settings:
    """Sizes of effects and of noise, tuned for the moments of the features and for the scores of the models.

    An activity of 1 changes a gene of usual responsiveness by about ``gene_effect`` (in z-scores). A spread is the
    standard deviation of the logarithm.
    """

    programs: int = 60  # number of gene programs
    spectrum: float = 16.0  # the standard deviation of directions falls by the factor e over so many programs
    family_share: float = 0.4  # share of the variance of a target's direction that its family has in common
    strong_targets: float = 0.15  # share of targets whose drugs act strongly
    strong: float = 1.2  # median activity of the drugs of a strong target
    weak: float = 0.12  # median activity of the drugs of a weak target
    unlabelled: float = 0.2  # median activity of the drugs without a target
    large: float = 1.6  # activity of the large drugs
    spread: float = 0.6  # of the activity among the drugs of a target
    ceiling: float = 2.5  # the activity of a well saturates at this value
    elsewhere: float = 0.2  # share of the labelled drugs that act like those of another target
    hidden: float = 0.15  # share of the unlabelled drugs that act like those of a random target
    own: float = 0.85  # amplitude of a drug's own direction, relative to its activity
    turning: float = 0.65  # random change of direction from well to well, relative to the activity
    replicate: float = 0.35  # spread of the activity among the wells of a drug
    program_noise: float = 0.7  # standard deviation of the programs' noise, also in controls
    gene_noise: float = 0.3  # standard deviation of the noise of a single gene
    cell_noise: float = 0.65  # the same for a cell line
    uneven: float = 0.6  # spread of that noise among genes; a third of it among cell lines
    quality: float = 0.2  # spread of that noise among wells
    gene_effect: float = 0.71  # change of a gene by a program
    unequal: float = 0.38  # spread of the responsiveness among genes
    toxic_targets: float = 0.28  # share of targets whose drugs kill cells
    kill: float = 8.5  # largest decrease of viability
    lethal: float = 1.35  # product of activity and toxicity at which half of that is reached
    stress: float = 0.3  # change of a gene by the stress response, relative to the decrease of viability
    cell_effect: float = 0.25  # change of a cell line by a program
    cell_offset: float = 0.06  # mean of the cell lines without killing


@dataclass(frozen=True)
class Actions:
    """What each drug does."""

    direction: np.ndarray  # of the programs' change, shape (drugs, programs); of length about 1
    activity: np.ndarray  # how strongly the drug acts, shape (drugs,)
    toxicity: np.ndarray  # how much it kills at an activity of 1, shape (drugs,)

    @classmethod
    def draw(cls, rng: np.random.Generator, drugs: Drugs, scale: np.ndarray, settings: Settings) -> Actions:
        """Draw the actions of all drugs; ``scale`` is the standard deviation of directions, shape (programs,)."""
        n_drugs, n_targets = drugs.labels.shape
        of_family = rng.standard_normal((drugs.family.max() + 1, len(scale)))
        of_target = rng.standard_normal((n_targets, len(scale)))
        common = settings.family_share
        of_target = np.sqrt(common) * of_family[drugs.family] + np.sqrt(1 - common) * of_target
        # A low-discrepancy choice over the ranks, so that all seeds give about equally difficult worlds.
        strong = _evenly(drugs.rank, settings.strong_targets) | drugs.labels[: drugs.n_large].any(axis=0)
        strength = np.where(strong, settings.strong, settings.weak)
        deadly = np.where(_evenly(drugs.rank, settings.toxic_targets), rng.uniform(0.4, 1.6, n_targets), 0)

        acts = _acting_targets(rng, drugs, settings)
        activity = np.where(acts.any(axis=1), (acts * strength).max(axis=1), settings.unlabelled)
        activity *= np.exp(rng.normal(0, settings.spread, n_drugs))
        activity[: drugs.n_large] = settings.large
        weights = acts * strength
        weights /= np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9)
        direction = weights @ of_target + settings.own * rng.standard_normal((n_drugs, len(scale)))
        toxicity = (acts @ deadly) / np.maximum(acts.sum(axis=1), 1) * np.exp(rng.normal(0, 0.3, n_drugs))
        toxicity[: drugs.n_large] = TOXICITY_OF_LARGE[: drugs.n_large]
        return cls(direction * scale, activity, toxicity)


def _evenly(rank: np.ndarray, share: float) -> np.ndarray:
    """Whether a target is among the ``share`` that is spread evenly over the ranks, shape (targets,)."""
    return (rank * share) % 1 < share


def _acting_targets(rng: np.random.Generator, drugs: Drugs, settings: Settings) -> np.ndarray:
    """The targets by which each drug acts, 0/1, shape (drugs, targets): its labels, or another one for some."""
    acts = drugs.labels.astype(float)
    share = np.where(acts.any(axis=1), settings.elsewhere, settings.hidden)
    share[: drugs.n_large] = 0
    other = np.flatnonzero(rng.random(len(acts)) < share)
    acts[other] = 0
    acts[other, rng.integers(0, acts.shape[1], len(other))] = 1
    return acts


@dataclass(frozen=True)
class Response:
    """How features respond to programs and to killing, and the actions of the drugs."""

    settings: Settings
    actions: Actions
    scale: np.ndarray  # standard deviation of directions by program, shape (programs,); of length 1
    effects: np.ndarray  # change of genes, then cells, by a program, shape (programs, features)
    stress: np.ndarray  # response of genes to killing, shape (genes,)
    sensitivity: np.ndarray  # of cell lines to killing, shape (cells,); about 1
    noise: np.ndarray  # standard deviation of each feature's own noise, shape (features,)

    @classmethod
    def draw(cls, rng: np.random.Generator, drugs: Drugs, settings: Settings | None = None) -> Response:
        """Draw the responses of features, and the actions of these drugs."""
        s = settings or Settings()
        scale = np.exp(-np.arange(s.programs) / s.spectrum)
        scale /= np.linalg.norm(scale)
        responsive = np.exp(rng.normal(0, s.unequal, N_GENES))
        genes = s.gene_effect * rng.standard_normal((s.programs, N_GENES)) * responsive
        genes -= genes.mean(axis=1, keepdims=True)
        cells = rng.normal(0, s.cell_effect, (s.programs, N_CELLS))
        # A heavy-tailed stress response: few genes respond much, which gives some strongly correlated pairs.
        stress = s.stress * rng.laplace(0, np.sqrt(0.5), N_GENES) * responsive
        stress -= stress.mean()
        sensitivity = np.exp(rng.normal(0, 0.12, N_CELLS))
        gene_noise = s.gene_noise * np.exp(rng.normal(0, s.uneven, N_GENES))
        cell_noise = s.cell_noise * np.exp(rng.normal(0, s.uneven / 3, N_CELLS))
        noise = np.concatenate([gene_noise, cell_noise])
        actions = Actions.draw(rng, drugs, scale, s)
        return cls(s, actions, scale, np.hstack([genes, cells]), stress, sensitivity, noise)

    def features(self, rng: np.random.Generator, drug: np.ndarray, time: np.ndarray, dose: np.ndarray) -> np.ndarray:
        """Genes, then cells, of wells, shape (wells, features), float32.

        ``drug`` is -1 for controls, ``time`` and ``dose`` are the places of each well in ``CP_TIMES`` and ``CP_DOSES``.
        """
        active = self._activity(rng, drug, time, dose)
        values = self._noise(rng, len(drug))
        values += self._state(rng, drug, active).astype(np.float32) @ self.effects.astype(np.float32)
        killing = self._killing(drug, active)
        values[:, :N_GENES] += killing[:, None] * self.stress
        varied = np.exp(rng.normal(0, 0.15, (len(drug), N_CELLS)))
        values[:, N_GENES:] += self.settings.cell_offset - killing[:, None] * self.sensitivity * varied
        return np.clip(values, -LIMIT, LIMIT)

    def _activity(self, rng: np.random.Generator, drug: np.ndarray, time: np.ndarray, dose: np.ndarray) -> np.ndarray:
        """Activity of the drug in each well, shape (wells,); 0 in controls."""
        exposure = np.asarray(EXPOSURE_BY_TIME)[time] * np.asarray(EXPOSURE_BY_DOSE)[dose]
        exposure = exposure * np.exp(rng.normal(0, self.settings.replicate, len(drug)))
        active = np.where(drug >= 0, self.actions.activity[drug] * exposure, 0)
        return self.settings.ceiling * np.tanh(active / self.settings.ceiling)

    def _state(self, rng: np.random.Generator, drug: np.ndarray, active: np.ndarray) -> np.ndarray:
        """State of each well, shape (wells, programs)."""
        s, shape = self.settings, (len(drug), len(self.scale))
        turned = s.turning * rng.standard_normal(shape) * self.scale
        # The noise is spread over more programs than the directions are.
        noise = s.program_noise * rng.standard_normal(shape) * np.sqrt(self.scale / self.scale.sum())
        return active[:, None] * (self.actions.direction[drug] + turned) + noise

    def _killing(self, drug: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Mean decrease of viability in each well, shape (wells,); steep: cells are nearly unharmed or nearly dead."""
        reached = (active * self.actions.toxicity[drug] / self.settings.lethal) ** STEEPNESS
        return self.settings.kill * reached / (1 + reached)

    def _noise(self, rng: np.random.Generator, wells: int) -> np.ndarray:
        """Noise of the single features, shape (wells, features), float32; wells differ in quality."""
        quality = np.exp(rng.normal(0, self.settings.quality, (wells, 1))).astype(np.float32)
        noise = rng.standard_normal((wells, N_GENES + N_CELLS), dtype=np.float32)
        return noise * (quality * self.noise.astype(np.float32))
