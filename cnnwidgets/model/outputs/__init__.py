"""What does a network predict? Its outputs, their kinds, and predictions."""
