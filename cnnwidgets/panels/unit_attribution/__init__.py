"""The units that carried a decision, and what the network predicts without them."""
