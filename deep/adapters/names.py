"""What the parameters and results of other people's code are called, and what they mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["required", "role", "signature_of"]

_NAMES = {
    "x_hat": "x_hat recon recons recon_x x_recon reconstruction reconstructions reconstructed rec "
             "x_rec rec_x x_reconst output outputs out pred preds y_pred prediction predictions "
             "x_pred x_tilde x_prime decoded x_reconstructed reconstructed_x recon_batch x_out "
             "logits x_logit x_logits x_decoded x_bar y_hat y",
    "x": "x input inputs data target targets y_true original originals batch images image img "
         "x_true true orig x_in x_input",
    "mean": "mean mu m loc z_mean z_mu mean_z mu_z z_loc latent_mean posterior_mean embedding "
            "means qz_mean q_mean encoder_mean z_m",
    "log_var": "log_var logvar log_variance log_variances z_log_var z_logvar log_var_z logvar_z "
               "lv log_sigma2 logsigma2 log_sigma_sq log_sigma_squared log_covariance "
               "latent_log_variance posterior_log_variance q_logvar z_lv",
    "log_std": "log_std logstd log_sigma logsigma log_scale z_log_std log_stddev z_log_sigma",
    "std": "std sigma scale stddev z_std z_sigma z_scale standard_deviation",
    "variance": "var variance variances sigma2 sigma_sq posterior_variance latent_variance z_var",
    "z": "z latent latents sample z_sample code codes",
    "beta": "beta kl_weight kld_weight kl_coeff kl_coef w_kl beta_kl lambda_kl kl_beta",
    "latent_dim": "latent_dim latent_dims latent_size z_dim zdim n_latents n_latent latents_dim "
                  "num_latents k n_components dim_z latent_features nz latent",
    "n_features": "n_features input_dim input_size in_features x_dim in_dim data_dim n_inputs "
                  "input_dims num_features n n_input dim_x",
    "seed": "seed random_state rng_seed",
    "samples": "x data samples train_data x_train train train_x inputs dataset training_data "
               "train_dataset array",
}  # fmt: skip


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


_ROLES = {role: {_plain(name) for name in names.split()} for role, names in _NAMES.items()}


def role(name: str, among: tuple[str, ...]) -> str | None:
    """Which of the roles a name stands for, or None.

    A name may stand for several; the first of `among` wins.
    """
    return next((r for r in among if _plain(name) in _ROLES[r]), None)


def signature_of(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Parameters of a callable, or None where Python cannot tell."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def required(parameter: inspect.Parameter) -> bool:
    """Whether a call must give it."""
    variable = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in variable
