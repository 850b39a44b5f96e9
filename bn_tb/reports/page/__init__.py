"""What the HTML report and the TensorBoard tab share: one view of a diagnosis, one front end."""
