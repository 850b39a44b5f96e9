"""The BatchNorm tab of TensorBoard."""
