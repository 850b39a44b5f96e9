"""Tags met in public projects, and look-alikes that must stay unknown."""

import re

import pytest

from bn_tb.runs.tags import Role, TagPatterns, parse_tag

MEAN, VARIANCE = Role.MOVING_MEAN, Role.MOVING_VARIANCE

KNOWN = [
    ("bn1/moving_mean", "bn1", MEAN),
    ("bn1/moving_mean_1", "bn1", MEAN),  # TF1 makes the summary's name unique
    ("ModelVars/c/BatchNorm/moving_variance_2", "ModelVars/c/BatchNorm", VARIANCE),
    ("conv2/BatchNorm/moving_variance:0", "conv2/BatchNorm", VARIANCE),
    ("batch_normalization_1/moving_mean_0", "batch_normalization_1", MEAN),  # Keras 2 on TF1
    ("batch_normalization/moving_mean_0/histogram", "batch_normalization", MEAN),  # tf.keras
    ("inner/batch_normalization_1/moving_mean/histogram", "inner/batch_normalization_1", MEAN),
    ("moving_mean/histogram", "", MEAN),  # Keras 3 before weight paths
    ("moving_mean", "", MEAN),
    ("bn/moving_mean/moving_mean", "bn", MEAN),
    ("bn/moving_mean/summaries/histogram", "bn", MEAN),
    ("conv0/bn/mean/EMA", "conv0/bn", MEAN),
    ("conv0/bn/variance/EMA", "conv0/bn", VARIANCE),
    ("layer1.0.bn1.running_mean", "layer1.0.bn1", MEAN),
    ("layer1.0.bn1.running_var", "layer1.0.bn1", VARIANCE),
    ("layer1.0.bn1.num_batches_tracked", "layer1.0.bn1", Role.UPDATE_COUNT),
    ("layer1.0.bn1.weight", "layer1.0.bn1", Role.WEIGHT),
    ("BN/layer1/running_mean", "BN/layer1", MEAN),
    ("bn1/bn1/moments/moments_1/mean/ExponentialMovingAverage", "bn1/bn1", MEAN),
    ("bn1/bn1/moments/moments_1/variance/ExponentialMovingAverage", "bn1/bn1", VARIANCE),
    ("c/bn/c/bn/moments/Squeeze/ExponentialMovingAverage", "c/bn/c/bn", MEAN),
    ("c/bn/c/bn/moments/Squeeze_1/ExponentialMovingAverage", "c/bn/c/bn", VARIANCE),
    ("c/bn/moments/normalize/mean/ExponentialMovingAverage", "c/bn", MEAN),
    ("tpu_batch_normalization/moving_mean", "tpu_batch_normalization", MEAN),
    ("batch_stats/encoder/bn_init/mean", "encoder/bn_init", MEAN),
    ("['batch_stats']['bn_init']['var']", "bn_init", VARIANCE),
    ("params/encoder/bn_init/scale", "encoder/bn_init", Role.WEIGHT),
    ("res_net/~/batch_norm/~/mean_ema/average", "res_net/~/batch_norm", MEAN),
    ("res_net/~/batch_norm/~/var_ema/average", "res_net/~/batch_norm", VARIANCE),
    ("res_net/~/batch_norm/~/mean_ema/counter", "res_net/~/batch_norm", Role.UPDATE_COUNT),
    ("net/batch_norm/moving_variance/average", "net/batch_norm", VARIANCE),
    ("link/bn1/avg_var", "link/bn1", VARIANCE),
    ("stage1_batchnorm0_running_mean", "stage1_batchnorm0", MEAN),
    ("bn1._mean", "bn1", MEAN),
    ("BN1/Moving_Mean", "BN1", MEAN),
    ("conv1/kernel_0/histogram", "conv1", Role.WEIGHT),
    ("bn1/gamma_1", "bn1", Role.GAMMA),
    ("bn1/beta:0", "bn1", Role.BETA),
]
UNKNOWN = [
    "normal/shrinking_variance",
    "running_mean_std.running_mean",
    "running_mean_std.running_var",
    "agent/obs_normalizer/running_mean",
    "obs_rms/running_var",
    "ret_rms.running_mean",
    "running_mean_episode_length",
    "bn/moving_mean/ExponentialMovingAverage",  # shadow of the statistics, made by a weight average
    "bn/moving_variance/ExponentialMovingAverage",
    "bn/moving_mean/biased",
    "bn/moving_mean/local_step",
    "bn/moments/mean/ExponentialMovingAverage/biased",
    "bn/gamma/Adam_1",
    "gradients/conv1/kernel",
    "conv1/kernel_0_grad",
    "layer1.weight.grad",
    "bn/mean_ema/hidden",
    "bn1/mean",
    "bn1/var_snr",
    "bn_std",
    "loss",
    "",
    "/",
    "...",
]


@pytest.mark.parametrize(("tag", "layer", "role"), KNOWN, ids=[row[0] for row in KNOWN])
def test_a_tag_of_a_real_project_is_understood(tag, layer, role):
    parsed = parse_tag(tag)
    assert parsed is not None
    assert (parsed.tag, parsed.layer, parsed.role) == (tag, layer, role)


@pytest.mark.parametrize("tag", UNKNOWN)
def test_a_look_alike_is_no_statistic(tag):
    assert parse_tag(tag) is None


def test_a_taught_pattern_is_tried_first_and_names_the_layer_by_its_group():
    patterns = TagPatterns(
        mean=(re.compile(r"^(.*)/mu_hat$"),), variance=(re.compile(r"/sigma_hat$"),)
    )
    mean = parse_tag("net/bn/mu_hat", patterns)
    variance = parse_tag("net/bn/sigma_hat", patterns)
    assert (mean.layer, mean.role) == ("net/bn", MEAN)
    assert (variance.layer, variance.role) == ("net/bn", VARIANCE)
    assert parse_tag("net/bn/mu_hat") is None
