"""Pictures: read any, show any, save them whole. Needs numpy and Pillow; matplotlib only for color maps."""

from cnnwidgets.pictures.arrays import MAX_PIXELS
from cnnwidgets.pictures.colormaps import COLORMAPS, colormap
from cnnwidgets.pictures.encode import read_png_metadata, to_gif, to_jpeg, to_png
from cnnwidgets.pictures.grid import GAP, Grid, columns_for, mosaic
from cnnwidgets.pictures.heat import overlay, paint
from cnnwidgets.pictures.load import load_picture, read_picture
from cnnwidgets.pictures.pixels import displayable, resize, to_uint8
from cnnwidgets.pictures.saving import free_path, slug, write_file

__all__ = [
    "COLORMAPS",
    "GAP",
    "MAX_PIXELS",
    "Grid",
    "colormap",
    "columns_for",
    "displayable",
    "free_path",
    "load_picture",
    "mosaic",
    "overlay",
    "paint",
    "read_picture",
    "read_png_metadata",
    "resize",
    "slug",
    "to_gif",
    "to_jpeg",
    "to_png",
    "to_uint8",
    "write_file",
]
