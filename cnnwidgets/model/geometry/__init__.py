"""Where does each position look? The frame that a layer sees, located in the picture."""
