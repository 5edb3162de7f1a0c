"""Pictures: read any, show any, save them whole. Needs numpy and Pillow; matplotlib only for color maps."""

from cnnwidgets.pictures.colormaps import COLORMAPS, color_maps, colormap, tile_maps
from cnnwidgets.pictures.encode import read_png_metadata, to_gif, to_jpeg, to_png, to_still
from cnnwidgets.pictures.grid import columns_for, mosaic, tile_at
from cnnwidgets.pictures.heat import overlay, paint
from cnnwidgets.pictures.pixels import displayable, resize, to_uint8
from cnnwidgets.pictures.reading.array_layout import MAX_PIXELS
from cnnwidgets.pictures.reading.load import load_picture, read_bands, read_picture
from cnnwidgets.pictures.saving import free_path, slug, write_file

__all__ = [
    "COLORMAPS",
    "MAX_PIXELS",
    "color_maps",
    "colormap",
    "columns_for",
    "displayable",
    "free_path",
    "load_picture",
    "mosaic",
    "overlay",
    "paint",
    "read_bands",
    "read_picture",
    "read_png_metadata",
    "resize",
    "slug",
    "tile_maps",
    "to_gif",
    "to_jpeg",
    "to_png",
    "to_still",
    "tile_at",
    "to_uint8",
    "write_file",
]
