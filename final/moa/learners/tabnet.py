"""TabNet (Arik & Pfister 2019) as a learner, built on the pytorch-tabnet library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict

from moa.data.sizes import BATCH, GHOST_MOMENTUM
from moa.learners.base import FitJob, Fitted, JobLearner
from moa.learners.runtime import PRECISIONS, Runtime

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from pytorch_tabnet.tab_model import TabNetRegressor


class TabNetLearner(BaseModel, JobLearner):
    """TabNet on multi-label targets; the defaults are the published settings. Source: write-up, 2-stage NN + TabNet.

    The first ``len(cat_dims)`` input columns hold categories as codes 0, 1, …; the others are numbers. The library's
    regressor is used, as published: its raw outputs are taken as logits.

    Attributes:
        n_d, n_a, n_steps, gamma, lambda_sparse, mask_type: see TabNet's paper and the library.
        cat_dims, cat_emb_dim: number of categories of the coded columns and width of their embeddings, one number per
            column; None: set by the stage from the conditions of the data's schema, with embeddings of width 1.
        lr, weight_decay: Adam.
        milestones, decay: MultiStepLR, in epochs.
        smoothing: y·(1-s) + s/2 in the training loss and in the metric that stops training.
        batch_size, virtual_batch_size: rows per step, and rows per "ghost" batch norm.
        norm_momentum: weight of a ghost batch in the moving averages of batch norm; published: the library's default.
        epochs, patience: most epochs, and epochs without gain before stopping; the best epoch is kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    parallel: ClassVar = "processes"  # the library seeds and draws from torch's and numpy's global generators
    precisions: ClassVar = PRECISIONS

    n_d: int = 32
    n_a: int = 32
    n_steps: int = 1
    gamma: float = 1.3
    lambda_sparse: float = 0.0
    mask_type: str = "entmax"
    cat_dims: tuple[int, ...] | None = None
    cat_emb_dim: tuple[int, ...] | None = None
    lr: float = 2e-2
    weight_decay: float = 1e-5
    milestones: tuple[int, ...] = (100, 150)
    decay: float = 0.9
    smoothing: float = 0.001
    batch_size: Annotated[int, BATCH] = 1024
    virtual_batch_size: Annotated[int, BATCH] = 128
    norm_momentum: Annotated[float, GHOST_MOMENTUM] = 0.02
    epochs: int = 200
    patience: int = 50

    def build(self, seed: int, device: torch.device) -> TabNetRegressor:
        """The library's estimator, not yet fitted. Seeds torch's global generator: call it inside ``fork_rng``."""
        import torch
        from pytorch_tabnet.tab_model import TabNetRegressor

        sizes, widths = self.cat_dims or (), self.cat_emb_dim or ()
        return TabNetRegressor(
            n_d=self.n_d,
            n_a=self.n_a,
            n_steps=self.n_steps,
            gamma=self.gamma,
            lambda_sparse=self.lambda_sparse,
            mask_type=self.mask_type,
            momentum=self.norm_momentum,
            cat_idxs=list(range(len(sizes))),
            cat_dims=list(sizes),
            cat_emb_dim=list(widths),
            optimizer_fn=torch.optim.Adam,
            optimizer_params={"lr": self.lr, "weight_decay": self.weight_decay},
            scheduler_fn=torch.optim.lr_scheduler.MultiStepLR,
            scheduler_params={"milestones": list(self.milestones), "gamma": self.decay},
            seed=seed,
            verbose=0,
            device_name=str(device),
        )

    def train(self, job: FitJob) -> Fitted:
        """Train on one fold; see ``moa.learners.base.Learner``."""
        import numpy as np

        from moa.learners.common import own_generators, state_on_cpu
        from moa.learners.tabnet_library import Reporter, library, log_loss_of_logits, log_loss_of_sigmoid

        data, device = job.data, job.runtime.torch_device
        X, y = data.X.to_numpy(np.float32), data.y.to_numpy(np.float32)
        reporter = Reporter(job.callback)
        # The library draws the order of rows and the initial weights from torch's global generator, seeded with the
        # model seed in every fold, as in the original.
        with own_generators(device), library():
            estimator = self.build(job.seed, device)
            estimator.fit(
                X[data.train],
                y[data.train],
                eval_set=[(X[data.valid], y[data.valid])],
                eval_name=["valid"],
                # Training is stopped by the last metric: the smoothed one, as published.
                eval_metric=[log_loss_of_logits(0.0), log_loss_of_logits(self.smoothing)],
                loss_fn=lambda output, target: log_loss_of_sigmoid(output, target, self.smoothing),
                max_epochs=self.epochs,
                patience=self.patience,
                batch_size=self.batch_size,
                virtual_batch_size=self.virtual_batch_size,
                # All rows are used, unless one alone is left over: batch norm cannot be trained on it.
                drop_last=len(data.train) % self.batch_size == 1,
                callbacks=[reporter],
                compute_importance=False,
            )
        meta = {"n_inputs": X.shape[1], "n_targets": y.shape[1]}
        return Fitted(state_on_cpu(estimator.network), meta, reporter.history)

    def predict(self, fitted: Fitted, X: pd.DataFrame, runtime: Runtime) -> np.ndarray:
        """Probabilities of the kept epoch; see ``moa.learners.base.Learner``."""
        import torch

        from moa.learners.common import own_generators, to_device
        from moa.learners.tabnet_library import library

        device = runtime.torch_device
        with own_generators(device), library():
            estimator = self.build(0, device)
            estimator.input_dim, estimator.output_dim = fitted.meta["n_inputs"], fitted.meta["n_targets"]
            estimator._set_network()  # the only way the library offers to build a network without fitting it
        network = estimator.network
        network.load_state_dict(fitted.tensors)
        network.eval()
        with torch.no_grad():
            parts = [network(part)[0].sigmoid().cpu() for part in to_device(X, device).split(4096)]
        return torch.cat(parts).numpy()
