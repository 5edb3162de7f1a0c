"""Controls that stand for settings: menus of classes, sizes and any other choice, and their rows."""
