"""Series and graph evidence put together into batch-norm layers."""

from bn_tb.layers.find import find_layers as find_layers
from bn_tb.layers.layer import INITIAL as INITIAL
from bn_tb.layers.layer import BatchNormLayer as BatchNormLayer
from bn_tb.layers.layer import Framework as Framework
from bn_tb.layers.layer import Motion as Motion
