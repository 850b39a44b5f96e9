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
    ("bn1/bn1/moments/moments_1/mean/ExponentialMovingAverage", "bn1", MEAN),
    ("bn1/bn1/moments/moments_1/variance/ExponentialMovingAverage", "bn1", VARIANCE),
    ("c/bn/c/bn/moments/Squeeze/ExponentialMovingAverage", "c/bn", MEAN),
    ("c/bn/c/bn/moments/Squeeze_1/ExponentialMovingAverage", "c/bn", VARIANCE),
    ("c/bn/moments/normalize/mean/ExponentialMovingAverage", "c/bn", MEAN),
    ("bn/bn/moments/Squeeze/ExponentialMovingAverage_1", "bn", MEAN),  # made unique once more
    ("bn/bn/moments/Squeeze_1/ExponentialMovingAverage_1", "bn", VARIANCE),
    ("bn/bn/moments/Squeeze_1/ExponentialMovingAverage:0", "bn", VARIANCE),
    ("bn/bn/moments/Squeeze/ExponentialMovingAverage_0", "bn", MEAN),  # `:0` made legal
    ("net/bn/net/bn_1/moments_1/Squeeze/ExponentialMovingAverage_2", "net/bn", MEAN),
    ("net/bn/tower_0/net/bn/moments/Squeeze/ExponentialMovingAverage", "net/bn", MEAN),
    ("ModelVars/net/bn/net/bn/moments/Squeeze/ExponentialMovingAverage", "ModelVars/net/bn", MEAN),
    ("bn/bn/cond_1/moments/Squeeze/ExponentialMovingAverage", "bn", MEAN),
    ("bn/batch_moments/mean/ExponentialMovingAverage", "bn", MEAN),
    ("bn/bn/batch_variance/ExponentialMovingAverage", "bn", VARIANCE),
    ("conv0/bn/mean/EMA_1", "conv0/bn", MEAN),
    ("conv0/bn/variance/EMA:0", "conv0/bn", VARIANCE),
    ("tower0/conv0/bn/variance/EMA_1/histogram", "tower0/conv0/bn", VARIANCE),
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
    ("res/~/batch_norm/~/mean_ema/average_1", "res/~/batch_norm", MEAN),
    ("net/batch_norm/moving_mean/average_1", "net/batch_norm", MEAN),
    ("['res/~/bn/~/var_ema']['average']", "res/~/bn", VARIANCE),
    ("batch_stats/bn/mean_1", "bn", MEAN),
    (".batch_stats['stage']['bn']['mean']", "stage/bn", MEAN),
    ("encoder/BatchNorm_3/mean", "encoder/BatchNorm_3", MEAN),  # Linen, without its collections
    ("bbox_delta/bn1/moving_mean", "bbox_delta/bn1", MEAN),  # a head, no difference
    ("policy_grad/bn1/moving_mean", "policy_grad/bn1", MEAN),
    ("encoder/bn1/var/value", "encoder/bn1", VARIANCE),  # NNX
    ("stage1_unit1_bn1_gamma", "stage1_unit1_bn1", Role.GAMMA),
    ("bn_data_moving_var", "bn_data", VARIANCE),
    ("resnetv10_batchnorm0_running_var_1", "resnetv10_batchnorm0", VARIANCE),
    ("batchnormalization_1_running_std", "batchnormalization_1", VARIANCE),  # Keras 1: a variance
    ("gpu_0/res_conv1_bn_rm", "gpu_0/res_conv1_bn", MEAN),  # Caffe2
    ("gpu_0/res_conv1_bn_riv", "gpu_0/res_conv1_bn", VARIANCE),
    ("Block_5_layer2_bn1.w_1", "Block_5_layer2_bn1", MEAN),  # Paddle
    ("batch_norm2d_0.w_2", "batch_norm2d_0", VARIANCE),
    ("batch_norm2d_0.b_0", "batch_norm2d_0", Role.BETA),
    ("linear_0.w_0", "linear_0", Role.WEIGHT),
    ("module.layer1.0.bn1.running_mean", "module.layer1.0.bn1", MEAN),  # DistributedDataParallel
    ("_orig_mod.layer1.0.bn1.running_var", "_orig_mod.layer1.0.bn1", VARIANCE),  # torch.compile
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
    "bn/moving_mean/ExponentialMovingAverage_1",
    "bn/mean/EMA/ExponentialMovingAverage",
    "loss/Mean/ExponentialMovingAverage",  # tf.reduce_mean of a loss
    "Squeeze/ExponentialMovingAverage",
    "bn_batch_mean",
    "bn_batch_variance",
    "conv0_running_mean",
    "param_gamma",
    "bn/moving_mean/biased",
    "bn/moving_mean/local_step",
    "bn/moments/mean/ExponentialMovingAverage/biased",
    "bn/gamma/Adam_1",
    "gradients/conv1/kernel",
    "conv1/kernel_0_grad",
    "layer1.weight.grad",
    "bn/mean_ema/hidden",
    "bn1/mean",
    "BatchNorm/mean",
    "encoder/mean/value",
    "update_ratio/bn1.running_mean",
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
