"""What is this network? A Keras model, its layers, inputs and outputs, and what pictures mean to it."""
